"""What answer an exercise grader: a number, some whole numbers, or a function on cases.

Each kind checks an answer (raises `WrongAnswer` with what is wrong), tells whether an answer agrees with a
known mistake, and names the right values. No sentence tells a value that was asked for; a function
is told on which arguments it went wrong. Every call of a learner's function gets its own copy of
the arguments.
"""

import copy
import dis
import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

EXACT = 1e-9  # relative rounding error of a computed number
RTOL = 1e-4
Arguments = tuple
Case = tuple[Arguments, Any]


class WrongAnswer(Exception):  # noqa: N818 - an answer is wrong, nothing has failed
    """An answer that is not right; the text says why."""


def is_empty(answer: Any) -> bool:
    """Whether an answer was left as it stood: `...`, something that holds one, or a function of only that.

    Example:
        >>> def stub(values): ...
        >>> is_empty(...), is_empty((1, ...)), is_empty(stub), is_empty(0)
        (True, True, True, False)
    """
    if isinstance(answer, (list, tuple)):
        return any(map(is_empty, answer))
    if isinstance(answer, dict):
        return any(map(is_empty, answer.values()))
    return answer is ... or _does_nothing(answer)


def _does_nothing(function: Any) -> bool:
    """Whether a function's body is `...`, `pass` or a docstring alone."""
    if not hasattr(function, "__code__"):
        return False
    steps = [s for s in dis.get_instructions(function) if s.opname not in ("RESUME", "NOP")]
    returns = ("LOAD_CONST", "RETURN_CONST", "RETURN_VALUE")
    return all(s.opname in returns and s.argval in (None, ...) for s in steps)


@dataclass(frozen=True)
class Number:
    """One number, exact up to rounding unless `rtol` is larger.

    Example:
        >>> Number(8).check(4)
        Traceback (most recent call last):
        qtha_lab.lessons.grading.WrongAnswer: 4 is not it
    """

    right: float
    rtol: float = EXACT

    def check(self, answer: Any) -> None:
        """Raise `WrongAnswer` unless it is the number."""
        if not self._close(as_number(answer), self.right):
            raise WrongAnswer(f"{_short(answer)} is not it")

    def agrees(self, answer: Any, mistake: Any) -> bool:
        """Whether an answer is the value that a known mistake leads to."""
        return self._close(as_number(answer), as_number(mistake))

    def right_values(self) -> list[float]:
        """What no sentence may tell."""
        return [float(self.right)]

    def _close(self, value: float, expected: float) -> bool:
        return bool(np.isclose(value, expected, rtol=self.rtol, atol=1e-9))


@dataclass(frozen=True)
class WholeNumbers:
    """Some whole numbers in order; which of them is wrong is not told.

    Example:
        >>> WholeNumbers((1, 2)).check((1, 3))
        Traceback (most recent call last):
        qtha_lab.lessons.grading.WrongAnswer: (1, 3) is not it
    """

    right: tuple[int, ...]

    def check(self, answer: Any) -> None:
        """Raise `WrongAnswer` unless they are the numbers."""
        if self._read(answer) != self.right:
            raise WrongAnswer(f"{_short(answer)} is not it")

    def agrees(self, answer: Any, mistake: Any) -> bool:
        """Whether an answer is what a known mistake leads to."""
        return self._read(answer) == self._read(mistake)

    def right_values(self) -> list[float]:
        """What no sentence may tell."""
        return list(map(float, self.right))

    def _read(self, answer: Any) -> tuple[int, ...]:
        try:
            values = [as_number(value) for value in answer]
        except (TypeError, WrongAnswer):
            values = []
        if len(values) != len(self.right) or not all(value.is_integer() for value in values):
            raise WrongAnswer(
                f"{len(self.right)} whole numbers are asked for, not {_short(answer)}"
            )
        return tuple(map(int, values))


@dataclass(frozen=True)
class Function:
    """A function, on arguments whose result is known.

    Attributes:
        make: Gives the (arguments, right result) pairs; called when an answer comes.
        label: Names the arguments in a sentence, for those too long to print.

    Example:
        >>> Function(lambda: [((1,), 2), ((3,), 9)]).check(lambda x: x + 1)
        Traceback (most recent call last):
        qtha_lab.lessons.grading.WrongAnswer: for (3) it gives 4, which is not it
    """

    make: Callable[[], Iterable[Case]]
    label: Callable[..., str] | None = None
    rtol: float = RTOL
    atol: float = 1e-6

    @functools.cached_property
    def cases(self) -> list[Case]:
        """The pairs, made once."""
        return list(self.make())

    def check(self, answer: Any) -> None:
        """Raise `WrongAnswer` at the first case where the function is not right."""
        if not callable(answer):
            raise WrongAnswer(f"a function is asked for, not {_short(answer)}")
        for arguments, right in self.cases:
            self._check_case(answer, arguments, as_array(right))

    def _check_case(self, answer: Callable, arguments: Arguments, right: np.ndarray) -> None:
        name = self.name(arguments)
        try:
            result = call_on_copies(answer, arguments)
        except Exception as error:
            raise WrongAnswer(f"for {name} it stops with {type(error).__name__}: {error}") from None
        if result is None:
            raise WrongAnswer(f"for {name} it returns nothing: is there a return?")
        value = as_array(result)
        if value.shape != right.shape:
            raise WrongAnswer(f"for {name} it gives shape {value.shape}, not {right.shape}")
        if not self._close(value, right):
            raise WrongAnswer(f"for {name} it gives {_short(result)}, which is not it")

    def agrees(self, answer: Any, mistake: Any) -> bool:
        """Whether an answer gives on every case what a known mistake gives."""
        for arguments, _ in self.cases:
            ours, theirs = (as_array(call_on_copies(f, arguments)) for f in (mistake, answer))
            if ours.shape != theirs.shape or not self._close(theirs, ours):
                return False
        return True

    def right_values(self) -> list[float]:
        """What no sentence may tell."""
        return [float(v) for _, right in self.cases for v in as_array(right).ravel()]

    def name(self, arguments: Arguments) -> str:
        """The arguments in a sentence."""
        return self.label(*arguments) if self.label else f"({', '.join(map(_short, arguments))})"

    def _close(self, values: np.ndarray, expected: np.ndarray) -> bool:
        return np.allclose(values, expected, rtol=self.rtol, atol=self.atol)


Grader = Number | WholeNumbers | Function


def call_on_copies(function: Callable, arguments: Arguments) -> Any:
    """Call a function on deep copies of its arguments.

    Example:
        >>> values = [2, 1]
        >>> call_on_copies(lambda v: v.sort() or v, (values,)), values
        ([1, 2], [2, 1])
    """
    return function(*copy.deepcopy(arguments))


def as_number(answer: Any) -> float:
    """A number of any kind, a tensor too, as a float."""
    if isinstance(answer, (str, bytes)):
        raise WrongAnswer(f"a number is asked for, not {_short(answer)}")
    try:
        return float(answer)
    except (TypeError, ValueError):
        raise WrongAnswer(f"a number is asked for, not {_short(answer)}") from None


def as_array(answer: Any) -> np.ndarray:
    """Numbers of any kind, a torch tensor too, as an array."""
    if hasattr(answer, "detach"):
        answer = answer.detach().cpu()
    try:
        values = np.asarray(answer)
        if np.iscomplexobj(values):  # for example from `torch.linalg.eigvals`
            values = np.real_if_close(values)
        return values.astype(float, casting="same_kind")
    except (TypeError, ValueError):
        raise WrongAnswer(f"numbers are asked for, not {_short(answer)}") from None


def _short(value: Any) -> str:
    """The value in few letters."""
    if isinstance(value, (float, np.floating)):
        return f"{value:.10g}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
