"""Declared mistakes of an exercise, alone, in pairs and with a changed result; small changes."""

import copy
import functools
import itertools
import logging
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from qtha_lab.lessons import grading
from qtha_lab.lessons.changed_solutions import changed_solutions
from qtha_lab.lessons.registry import Exercise, get
from qtha_lab.lessons.time_limit import AnswerTimeout, time_limit
from qtha_lab.lessons.value_facts import SCALED

log = logging.getLogger(__name__)
Results = list[np.ndarray]
SECONDS = 0.2  # of processor time for one changed solution, whose loop may be endless
ALL_SECONDS = 1.0  # of processor time for all changed solutions


def known_reason(exercise: Exercise, answer: Any) -> str | None:
    """Return the reason of the declared mistake that has the same wrong values, if any."""
    if isinstance(exercise.grader, grading.Function):
        alone = ((_results_of(exercise.number, code), why) for code, why in exercise.mistakes)
        return _first(exercise, answer, alone)
    for mistake, sentence in exercise.mistakes:
        try:
            if exercise.grader.agrees(answer, exercise.answer_of(mistake)):
                return sentence
        except Exception as reason:  # the answer may be of any kind, so it is no known mistake
            log.debug("%s is not this mistake: %r", exercise.number, reason)
    return None


def combined_reason(exercise: Exercise, answer: Any) -> str | None:
    """Return the reasons of two faults that together have the same wrong values, if any."""
    if not isinstance(exercise.grader, grading.Function):
        return None
    sentence = _first(exercise, answer, _combinations(exercise))
    return f"two faults: {sentence}" if sentence else None


def changed_reason(exercise: Exercise, answer: Any) -> str | None:
    """Return the small change of the solution that gives the same wrong values, if any.

    The sentence is true of the values, however the answer computes them.
    """
    grader = exercise.grader
    if not isinstance(grader, grading.Function) or (values := _values(exercise, answer)) is None:
        return None
    names: dict[str, Any] = {}
    exec(exercise.setup, names)
    names |= {n: _bounded(f) for n, f in names.items() if isinstance(f, types.FunctionType)}
    exec(exercise.solution, names)
    _results(grader, names[exercise.answer])  # first calls with right arguments
    end = time.process_time() + ALL_SECONDS
    for code, sentence in changed_solutions(exercise.solution):
        if time.process_time() > end:
            break
        try:
            with np.errstate(all="ignore"), time_limit(SECONDS):
                exec(code, names)
                changed = names[exercise.answer]
                if all(
                    _agree(grader, [value], [grading.as_array(changed(*copy.deepcopy(given)))])
                    for value, (given, _) in zip(values, grader.cases, strict=True)
                ):
                    return sentence
        except (Exception, AnswerTimeout) as problem:  # the change may raise anything
            log.debug("%s: a change is left out: %r", exercise.number, problem)
    return None


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that refuses arrays over twice as long as in its first call.

    Exchanged arguments could otherwise ask for a circuit of 24 qubits.
    """
    longest: list[int] = []

    def call(*arguments: Any) -> Any:
        lengths = [max(getattr(argument, "shape", ()), default=0) for argument in arguments]
        longest.extend(lengths[len(longest) :])
        if any(length > 2 * most for length, most in zip(lengths, longest, strict=False)):
            raise ValueError(f"an argument is too long, got lengths {lengths}")
        return function(*arguments)

    return call


def _first(
    exercise: Exercise, answer: Any, mistakes: Iterator[tuple[Results | None, str]]
) -> str | None:
    """Return the sentence of the first mistake with the values of an answer."""
    grader = exercise.grader
    assert isinstance(grader, grading.Function)
    if (values := _values(exercise, answer)) is None:
        return None
    agreeing = (why for results, why in mistakes if results and _agree(grader, values, results))
    return next(agreeing, None)


def _values(exercise: Exercise, answer: Any) -> Results | None:
    try:
        return _results(exercise.grader, answer)
    except Exception as reason:  # the answer may raise anything
        log.debug("%s has no values: %r", exercise.number, reason)
        return None


def _results(grader: Any, function: Any) -> Results:
    return [_result(function, arguments) for arguments, _ in grader.cases]


def _result(function: Any, arguments: tuple) -> np.ndarray:
    return grading.as_array(grading.call_on_copies(function, arguments))


def _agree(grader: grading.Function, values: Results, others: Results) -> bool:
    pairs = list(zip(values, others, strict=True))
    return all(a.shape == b.shape and grader.is_close(a, b) for a, b in pairs)


def _combinations(exercise: Exercise) -> Iterator[tuple[Results | None, str]]:
    for code, reason in exercise.mistakes:
        results = _results_of(exercise.number, code)
        for sentence, change in SCALED if results else ():
            with np.errstate(all="ignore"):
                yield [np.asarray(change(y)) for y in results or ()], f"{reason}; and {sentence}"
    for (first, to, one), (second, by, other) in itertools.permutations(exercise.changes, 2):
        code = exercise.solution.replace(first.strip("\n"), to.strip("\n"))
        if code.count(second.strip("\n")) == 1:
            code = code.replace(second.strip("\n"), by.strip("\n"))
            yield _results_of(exercise.number, code), f"{one}; and {other}"


@functools.cache
def _results_of(number: str, code: str) -> Results | None:
    """Return the values of a mistake on every case; None after an error."""
    exercise = get(number)
    assert isinstance(exercise.grader, grading.Function)
    try:
        with np.errstate(all="ignore"):
            return _results(exercise.grader, exercise.answer_of(code))
    except Exception as reason:
        log.debug("%s: a mistake has no values: %r", number, reason)
        return None
