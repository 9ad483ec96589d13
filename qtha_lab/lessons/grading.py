"""Graders of exercises: a number, some whole numbers, or a function on cases.

Each grader checks an answer (and raises `WrongAnswer` with the fault), compares it with a known
mistake, and lists the right values. No message reveals a final answer; for a function, the message
shows the smallest failing case with its expected value. Every call of a learner's function gets
its own copy of the arguments.
"""

import copy
import dis
import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from qtha_lab.core.errors import describe_error
from qtha_lab.lessons import guard

EXACT = 1e-9  # relative rounding error of a computed number
ATOL = 1e-9
MOST_PRINTED = 8  # values
SAME_VALUE = 0.02  # relative difference of two roundings of one value
RTOL = 1e-4
OF_EVERY_CLASS = set(vars(type("Empty", (), {}))) | {"__qualname__", "__annotations__"}
Arguments = tuple
Case = tuple[Arguments, Any]


class WrongAnswer(Exception):  # noqa: N818 - an answer is wrong, nothing has failed
    """Wrong answer, with the reason as its message."""


class ReplacedFunction(WrongAnswer):
    """Answer that replaces a function of Python or of a library."""


def refuse_replaced() -> None:
    """Put functions back that an answer has replaced, and refuse the answer.

    Raises:
        ReplacedFunction: If there are any.
    """
    if name := guard.put_back():
        raise ReplacedFunction(
            f"it replaces {name}: an answer must leave Python and its libraries as they are"
        )


def is_empty(answer: Any) -> bool:
    """Return True for an unattempted answer.

    This is `...`, a container of one, or a function or class whose body does nothing.

    Example:
        >>> def stub(values): ...
        >>> is_empty(...), is_empty((1, ...)), is_empty(stub), is_empty(0)
        (True, True, True, False)
    """
    if isinstance(answer, (list, tuple)):
        return any(map(is_empty, answer))
    if isinstance(answer, dict):
        return any(map(is_empty, answer.values()))
    if isinstance(answer, type):
        own = [value for name, value in vars(answer).items() if name not in OF_EVERY_CLASS]
        return all(map(_does_nothing, own))
    return answer is ... or _does_nothing(answer)


def _does_nothing(function: Any) -> bool:
    """Return True if a function's body is only `...`, `pass` or a docstring."""
    if not hasattr(function, "__code__"):
        return False
    steps = [s for s in dis.get_instructions(function) if s.opname not in ("RESUME", "NOP")]
    returns = ("LOAD_CONST", "RETURN_CONST", "RETURN_VALUE")
    return all(s.opname in returns and s.argval in (None, ...) for s in steps)


@dataclass(frozen=True)
class Number:
    """Grader of one number, exact up to rounding unless `rtol` is larger.

    Example:
        >>> Number(8).check(4)
        Traceback (most recent call last):
        qtha_lab.lessons.grading.WrongAnswer: 4 is not it
    """

    right: float
    rtol: float = EXACT

    def check(self, answer: Any) -> None:
        """Raise `WrongAnswer` unless the answer is the right number."""
        if not np.isclose(as_number(answer), self.right, rtol=self.rtol, atol=ATOL):
            raise WrongAnswer(f"{short_text(answer)} is not it")

    def agrees(self, answer: Any, mistake: Any) -> bool:
        """Return True if an answer equals the value of a known mistake, up to rounding."""
        rtol = min(self.rtol, SAME_VALUE)
        return bool(np.isclose(as_number(answer), as_number(mistake), rtol=rtol, atol=ATOL))

    def right_values(self) -> list[float]:
        """Return the values that no message may reveal."""
        return [float(self.right)]


@dataclass(frozen=True)
class WholeNumbers:
    """Grader of several whole numbers in order; the wrong one is not named.

    Example:
        >>> WholeNumbers((1, 2)).check((1, 3))
        Traceback (most recent call last):
        qtha_lab.lessons.grading.WrongAnswer: (1, 3) is not it
    """

    right: tuple[int, ...]

    def check(self, answer: Any) -> None:
        """Raise `WrongAnswer` unless the answer holds the right numbers."""
        if self._read(answer) != self.right:
            raise WrongAnswer(f"{short_text(answer)} is not it")

    def agrees(self, answer: Any, mistake: Any) -> bool:
        """Return True if an answer equals the numbers of a known mistake."""
        return self._read(answer) == self._read(mistake)

    def right_values(self) -> list[float]:
        """Return the values that no message may reveal."""
        return list(map(float, self.right))

    def _read(self, answer: Any) -> tuple[int, ...]:
        try:
            values = [as_number(value) for value in answer]
        except (TypeError, WrongAnswer):
            values = []
        if len(values) != len(self.right) or not all(value.is_integer() for value in values):
            raise WrongAnswer(
                f"{len(self.right)} whole numbers are expected, not {short_text(answer)}"
            )
        return tuple(map(int, values))


@dataclass(frozen=True)
class Function:
    """Grader of a function, on arguments with known results.

    Attributes:
        make: Returns the (arguments, right result) pairs; called at the first answer.
        label: Names the arguments in a message, where they are too long to print.

    Example:
        >>> Function(lambda: [((1,), 2), ((3,), 9)]).check(lambda x: x + 1)
        Traceback (most recent call last):
        qtha_lab.lessons.grading.WrongAnswer: for (3) it gives 4 instead of 9
    """

    make: Callable[[], Iterable[Case]]
    label: Callable[..., str] | None = None
    rtol: float = RTOL
    atol: float = 1e-6

    @functools.cached_property
    def cases(self) -> list[Case]:
        """Pairs of arguments and right result, computed once."""
        return list(self.make())

    def check(self, answer: Any) -> None:
        """Raise `WrongAnswer` at the smallest case where the function is not right."""
        if not callable(answer):
            raise WrongAnswer(f"the answer must be a function, not {short_text(answer)}")
        for arguments, right in sorted(self.cases, key=lambda case: _size(case[0])):
            self._check_case(answer, arguments, as_array(right))

    def _check_case(self, answer: Callable, arguments: Arguments, right: np.ndarray) -> None:
        name = self.name(arguments)
        try:
            result = call_on_copies(answer, arguments)
        except ReplacedFunction:
            raise
        except Exception as error:
            raise WrongAnswer(f"for {name} it stops with {describe_error(error)}") from None
        if result is None:
            raise WrongAnswer(f"for {name} it returns nothing: is there a return?")
        value = as_array(result)
        if value.shape != right.shape:
            raise WrongAnswer(f"for {name} it gives shape {value.shape} instead of {right.shape}")
        if not self.is_close(value, right):
            raise WrongAnswer(f"for {name} it gives {unequal(value, right)}")

    def agrees(self, answer: Any, mistake: Any) -> bool:
        """Return True if an answer equals a known mistake on every case."""
        for arguments, _ in self.cases:
            ours, theirs = (as_array(call_on_copies(f, arguments)) for f in (mistake, answer))
            if ours.shape != theirs.shape or not self.is_close(theirs, ours):
                return False
        return True

    def right_values(self) -> list[float]:
        """Return the values that no message may reveal."""
        return [float(v) for _, right in self.cases for v in as_array(right).ravel()]

    def name(self, arguments: Arguments) -> str:
        """Return the arguments as text for a message."""
        return (
            self.label(*arguments) if self.label else f"({', '.join(map(short_text, arguments))})"
        )

    def is_close(self, values: np.ndarray, expected: np.ndarray) -> bool:
        """Return True if all values are equal within the tolerances."""
        return np.allclose(values, expected, rtol=self.rtol, atol=self.atol)


def _size(arguments: Any) -> int:
    """Return the number of values in arguments."""
    if isinstance(arguments, (tuple, list)):
        return sum(map(_size, arguments))
    return int(np.size(arguments)) if not hasattr(arguments, "numel") else arguments.numel()


def unequal(values: np.ndarray, right: np.ndarray) -> str:
    """Return few values beside the right ones, or the entry with the largest difference.

    Example:
        >>> unequal(np.array([1.0, 2.0]), np.array([1.0, 3.0]))
        '[1., 2.] instead of [1., 3.]'
    """
    if values.size <= MOST_PRINTED:
        return f"{_numbers(values)} instead of {_numbers(right)}"
    gaps = np.nan_to_num(np.abs(values - right), nan=np.inf)
    place = tuple(map(int, np.unravel_index(int(gaps.argmax()), gaps.shape)))
    entry = f"{values[place]:.6g} instead of {right[place]:.6g} at {list(place)}"
    return f"{entry}, where it differs most"


def _numbers(values: np.ndarray) -> str:
    if values.ndim == 0:
        return f"{values[()]:.6g}"
    text = np.array2string(values, precision=6, separator=", ", suppress_small=True)
    return " ".join(text.split())


Grader = Number | WholeNumbers | Function
for _grader in (Number, WholeNumbers, Function):
    guard.protect(_grader)


def call_on_copies(function: Callable, arguments: Arguments) -> Any:
    """Call a function on deep copies of its arguments.

    Example:
        >>> values = [2, 1]
        >>> call_on_copies(lambda v: v.sort() or v, (values,)), values
        ([1, 2], [2, 1])
    """
    try:
        return function(*copy.deepcopy(arguments))
    finally:
        guard.mute()
        refuse_replaced()


def as_number(answer: Any) -> float:
    """Convert a number of any kind, including a tensor, to a float."""
    if isinstance(answer, (str, bytes)):
        raise WrongAnswer(f"the answer must be a number, not {short_text(answer)}")
    try:
        return float(answer)
    except (TypeError, ValueError):
        raise WrongAnswer(f"the answer must be a number, not {short_text(answer)}") from None


def as_array(answer: Any) -> np.ndarray:
    """Convert numbers of any kind, including a torch tensor, to an array."""
    if hasattr(answer, "detach"):
        answer = answer.detach().cpu()
    try:
        values = np.asarray(answer)
        if np.iscomplexobj(values):  # for example from `torch.linalg.eigvals`
            values = np.real_if_close(values)
        return values.astype(float, casting="same_kind")
    except (TypeError, ValueError):
        raise WrongAnswer(f"the answer must be numbers, not {short_text(answer)}") from None


def short_text(value: Any, length: int = 60) -> str:
    """Return the value as text of limited length, on one line."""
    if isinstance(value, (float, np.floating)):
        return f"{value:.10g}"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # an object of the reader
        return f"an object of type {type(value).__name__}"
    return text if len(text) <= length else text[: length - 3] + "..."
