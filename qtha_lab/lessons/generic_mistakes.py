"""Mistakes that occur in any exercise, recognised by their values.

Each is a change of the right results, or of the arguments of the solution, that gives the reader's
values on every case. The sentence is a statement about the values, so that it is true however they
were computed; a guess at their cause begins with "you seem".
"""

import inspect
import itertools
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from qtha_lab.lessons import grading
from qtha_lab.lessons.value_facts import RESULTS, OfResult, value_facts

log = logging.getLogger(__name__)
LN2, LOG2 = math.log(2), math.log10(2)
DEGREES = 180 / math.pi
OF_ENTRIES: tuple[tuple[str, OfResult], ...] = (
    ("it is transposed", lambda y: y.T),
    ("its entries are in the opposite order", lambda y: y[::-1]),
    ("its entries are in ascending order", np.sort),
    ("it is scaled to a sum of one", lambda y: y / y.sum()),
    ("it is scaled to length one", lambda y: y / np.linalg.norm(y)),
)
GUESSES: tuple[tuple[str, OfResult], ...] = (
    ("you seem to take the natural logarithm, where base 2 is asked for", lambda y: y * LN2),
    ("you seem to take the logarithm of base 2, where it should be natural", lambda y: y / LN2),
    ("you seem to take the logarithm of base 10, where base 2 is asked for", lambda y: y * LOG2),
    ("you seem to convert to degrees what should be in radians", lambda y: y * DEGREES),
    ("you seem to convert to radians what is in radians already", lambda y: y / DEGREES),
)
OfArgument = Callable[[Any], Any]
ARGUMENTS: tuple[tuple[str, OfArgument], ...] = (
    ("converted from degrees to radians", lambda x: _number(x) / DEGREES),
    ("converted from radians to degrees", lambda x: _number(x) * DEGREES),
    ("with the opposite sign", lambda x: -_number(x)),
    ("multiplied by two", lambda x: 2 * _number(x)),
    ("divided by two", lambda x: _number(x) / 2),
    ("squared", lambda x: _number(x) ** 2),
    ("increased by one", lambda x: _whole(x) + 1),
    ("decreased by one", lambda x: _whole(x) - 1),
    ("transposed, such as by a mean over the wrong axis", lambda x: _table(x).swapaxes(0, 1)),
    ("with its last two axes exchanged", lambda x: _cube(x).swapaxes(1, 2)),
)


def generic_reason(grader: Any, solution: Callable[[], Any], answer: Any) -> str | None:
    """Return a sentence about a wrong answer's values, or None if none holds.

    Args:
        grader: Grader of the exercise.
        solution: Returns a right answer.
        answer: The wrong answer.
    """
    kinds = {
        grading.Function: _reasons_of_function,
        grading.Number: _reasons_of_number,
        grading.WholeNumbers: _reasons_of_numbers,
    }
    reasons = kinds.get(type(grader))
    try:
        return next(reasons(grader, solution, answer), None) if reasons else None
    except Exception as problem:  # the answer, or a change of its arguments, may raise anything
        log.debug("no generic mistake is recognised: %r", problem)
        return None


def value_fact(grader: Any, solution: Callable[[], Any], answer: Any) -> str | None:
    """Return a sentence about a function's values or unused arguments, if any.

    Args:
        grader: Grader of the exercise; any but that of a function has no facts.
        solution: Returns a right answer.
        answer: The wrong answer.
    """
    if not isinstance(grader, grading.Function):
        return None
    try:
        results = [grading.call_on_copies(answer, arguments) for arguments, _ in grader.cases]
        values = [grading.as_array(result) for result in results]
        rights = [grading.as_array(right) for _, right in grader.cases]
        facts = value_facts(values, rights, grader.is_close)
        return next(itertools.chain(facts, _unused_arguments(grader, answer, solution())), None)
    except Exception as problem:  # the answer may raise anything
        log.debug("no fact is found: %r", problem)
        return None


def _reasons_of_number(grader: Any, _solution: Any, answer: Any) -> Iterator[str]:
    value, right = grading.as_number(answer), np.array(float(grader.right))
    for sentence, change in (*RESULTS, *GUESSES):
        changed = _changed(change, right)
        is_other = changed is not None and not grader.agrees(changed, grader.right)
        if is_other and grader.agrees(value, changed):
            yield sentence


def _reasons_of_numbers(grader: Any, _solution: Any, answer: Any) -> Iterator[str]:
    values, right = np.array([grading.as_number(v) for v in answer]), np.array(grader.right, float)
    if values.shape != right.shape:
        return
    for sentence, change in (*RESULTS, *OF_ENTRIES):
        changed = _changed(change, right)
        if changed is None or np.array_equal(changed, right):
            continue
        if np.array_equal(values, changed):
            yield sentence
    correct = int((values == right).sum())
    if correct:
        yield f"{correct} of the {len(right)} numbers {'is' if correct == 1 else 'are'} right"


def _reasons_of_function(grader: Any, solution: Callable[[], Any], answer: Any) -> Iterator[str]:
    cases = [arguments for arguments, _ in grader.cases]
    values = [np.array(grading.as_array(grading.call_on_copies(answer, a))) for a in cases]
    rights = [grading.as_array(right) for _, right in grader.cases]
    has_entries = all(right.size > 1 for right in rights)
    for sentence, change in (*RESULTS, *(OF_ENTRIES if has_entries else ()), *GUESSES):
        if _matches(grader, values, [_changed(change, right) for right in rights], rights):
            yield sentence
    if [value.shape for value in values] == [right.shape for right in rights]:
        right = solution()
        for sentence, change_of_arguments in _changes_of_arguments(len(cases[0])):
            results = [_result(right, change_of_arguments, arguments) for arguments in cases]
            if _matches(grader, values, results, rights):
                yield sentence


def _unused_arguments(grader: Any, answer: Callable, right: Callable) -> Iterator[str]:
    """Yield the arguments that change the solution's values and not those of the answer."""
    cases = [arguments for arguments, _ in grader.cases]
    unused = []
    for place in range(len(cases[0])):
        others = [
            (*a[:place], _other(a[place], b[place]), *a[place + 1 :])
            for a, b in zip(cases, [*cases[1:], cases[0]], strict=True)
        ]
        pairs = list(zip(cases, others, strict=True))
        if all(_is_same(grader, answer, *pair) for pair in pairs) and not all(
            _is_same(grader, right, *pair) for pair in pairs
        ):
            unused.append(_parameter(answer, place))
    if unused:
        yield f"its values do not depend on {' and '.join(unused)}"


def _other(value: Any, of_next_case: Any) -> Any:
    try:
        return 1.5 * _number(value) + 0.25
    except TypeError as problem:  # it is no real number
        log.debug("an argument is exchanged: %r", problem)
        return of_next_case


def _is_same(grader: Any, function: Callable, arguments: tuple, others: tuple) -> bool:
    one, other = (
        grading.as_array(grading.call_on_copies(function, given)) for given in (arguments, others)
    )
    return one.shape == other.shape and grader.is_close(one, other)


def _parameter(function: Callable, place: int) -> str:
    known = list(inspect.signature(function).parameters.values())
    is_named = place < len(known) and known[place].kind is not inspect.Parameter.VAR_POSITIONAL
    return known[place].name if is_named else f"the {_ordinal(place)} argument"


def _changes_of_arguments(count: int) -> Iterator[tuple[str, Callable[[tuple], tuple]]]:
    """Yield a sentence and a change of all arguments."""
    for i, j in itertools.combinations(range(count), 2):
        names = f"{_ordinal(i)} and the {_ordinal(j)}"
        yield f"the {names} argument are exchanged", lambda a, i=i, j=j: _exchanged(a, i, j)
    for words, change in ARGUMENTS if count > 1 else ():
        yield (
            f"its values are those for every argument {words}",
            lambda a, change=change: tuple(map(change, a)),
        )
    for place, (words, change) in itertools.product(range(count), ARGUMENTS):
        sentence = f"its values are those for the {_ordinal(place)} argument {words}"
        yield (
            sentence,
            lambda a, k=place, change=change: (*a[:k], change(a[k]), *a[k + 1 :]),
        )


def _exchanged(arguments: tuple, i: int, j: int) -> tuple:
    changed = list(arguments)
    changed[i], changed[j] = changed[j], changed[i]
    return tuple(changed)


def _result(right: Callable, change: Callable[[tuple], tuple], arguments: tuple) -> Any:
    """Return the solution's result for changed arguments; None where it has none."""
    try:
        with np.errstate(all="ignore"):
            return np.array(grading.as_array(grading.call_on_copies(right, change(arguments))))
    except Exception as problem:  # the change does not suit the argument
        log.debug("a change of arguments is left out: %r", problem)
        return None


def _matches(
    grader: grading.Function,
    values: Sequence[np.ndarray],
    changed: Sequence[Any],
    rights: Sequence[np.ndarray],
) -> bool:
    """Return True if values equal the changed results, and not the right ones."""
    if any(one is None for one in changed):
        return False
    is_other = any(
        one.shape != right.shape or not grader.is_close(one, right)
        for one, right in zip(changed, rights, strict=True)
    )
    return is_other and all(
        value.shape == one.shape and grader.is_close(value, one)
        for value, one in zip(values, changed, strict=True)
    )


def _changed(change: OfResult, right: np.ndarray) -> Any | None:
    """Return changed right results; None where the change does not apply."""
    try:
        with np.errstate(all="ignore"):
            changed = np.asarray(change(right))
    except (ValueError, IndexError, TypeError):
        return None
    return changed if np.isfinite(changed).all() else None


def _ordinal(place: int) -> str:
    return ("first", "second", "third", "fourth", "fifth", "sixth")[place]


def _number(value: Any) -> Any:
    """Return a real number or array; refuse whole numbers, which are sizes, and other objects."""
    if isinstance(value, (bool, int, str)) or callable(value):
        raise TypeError("no real number")
    return np.asarray(value, float) if isinstance(value, (list, tuple)) else value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("no whole number")
    return value


def _table(value: Any) -> Any:
    if getattr(value, "ndim", 0) < 2:
        raise TypeError("no table")
    return value


def _cube(value: Any) -> Any:
    if getattr(value, "ndim", 0) < 3:
        raise TypeError("no stack of tables")
    return value
