"""Steps of builds: the result of a reader's code beside the expected one.

A step is a function of the build. It returns the result, the expected one and the input as text:

    def _bell(built):
        return built(BELL), [[0, 0]], "(|00⟩ + |11⟩)/√2"
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from qtha_lab.core.errors import describe_error
from qtha_lab.figures.expected_values import expected_values
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.lessons import grading, guard
from qtha_lab.lessons.time_limit import SECONDS, AnswerTimeout, time_limit

log = logging.getLogger(__name__)
MOST_DRAWN = 64  # values
PLAIN = (tuple, str, bool)  # such as a shape


@dataclass(frozen=True)
class Near:
    """Expected values with an absolute tolerance, for measurements."""

    values: Any
    tolerance: float


@dataclass(frozen=True)
class StepOutcome:
    """Result of one step.

    Attributes:
        result: Result of the reader's code.
        expected: Expected result.
        given: Input as text.
        error: Error in place of a result.
    """

    result: Any = None
    expected: Any = None
    given: str = ""
    error: str = ""

    def fault(self, tolerance: float) -> str:
        """Return the difference from the expected result; empty if there is none."""
        return self.error or difference(self.result, self.expected, tolerance)

    def equals(self, other: "StepOutcome", tolerance: float) -> bool:
        """Return True if another build has the same result or error at this step."""
        if self.error or other.error:
            return self.error == other.error
        near = isinstance(self.expected, Near)
        theirs = Near(other.result, self.expected.tolerance) if near else other.result
        return not difference(self.result, theirs, tolerance)

    def picture(self) -> Figure | None:
        """Return bars of few real values beside the expected values of the same shape."""
        if self.error or self.result is None or isinstance(self.expected, PLAIN):
            return None
        try:
            values, right = (
                np.real(_array(of)).ravel().astype(float)
                for of in (self.result, _values(self.expected))
            )
        except grading.WrongAnswer as reason:
            log.debug("the result is not drawn: %s", reason)
            return None
        few = values.shape == right.shape and 1 < values.size <= MOST_DRAWN
        if not few or not np.isfinite(values).all():
            return None
        return expected_values(values.tolist(), right.tolist())


def run_step(step: Callable[..., Any], built: Any) -> StepOutcome:
    """Run a step within the time limit, and restore global state after it."""
    try:
        with guard.unchanged_state(), guard.limited_output(), time_limit():
            result, expected, given = step(built)
            grading.refuse_replaced()
    except AnswerTimeout:
        return StepOutcome(error=f"it is not done after {SECONDS:g} seconds")
    except grading.WrongAnswer as error:
        return StepOutcome(error=str(error))
    except (Exception, SystemExit) as error:  # the answer may do anything
        return StepOutcome(error=f"it stops with {describe_error(error)}")
    return StepOutcome(result, expected, grading.short_text(given, 300))


def difference(got: Any, expected: Any, tolerance: float) -> str:
    """Return the difference of a result from the expected one; empty if there is none.

    Args:
        got: Result of the reader's code.
        expected: Expected result, or values with a tolerance.
        tolerance: Largest absolute difference.

    Example:
        >>> difference([1.0, 2.0], [1.0, 3.0], tolerance=1e-6)
        '[1., 2.] instead of [1., 3.]'
    """
    if got is None and expected is not None:
        return "it returns nothing: is there a return?"
    if isinstance(expected, PLAIN):
        return "" if _is_same(got, expected) else f"{_text(got)} instead of {_text(expected)}"
    try:
        values = _array(got)
    except grading.WrongAnswer as error:
        return str(error)
    right = _array(_values(expected))
    if values.shape != right.shape:
        return f"shape {values.shape} instead of {right.shape}"
    near = isinstance(expected, Near)
    limits = (0.0, expected.tolerance) if near else (tolerance, tolerance)
    if np.allclose(values, right, *limits):
        return ""
    around = f" ± {expected.tolerance:g}" if near else ""
    return grading.unequal(values, right) + around


def _values(expected: Any) -> Any:
    return expected.values if isinstance(expected, Near) else expected


def _is_same(got: Any, expected: Any) -> bool:
    """Compare without an equality that the reader defines; a shape is a tuple."""
    if isinstance(expected, tuple):
        return (
            isinstance(got, (tuple, list))
            and len(got) == len(expected)
            and all(map(_is_same, got, expected))
        )
    is_plain = type(got).__module__ in ("builtins", "numpy", "torch")
    return is_plain and bool(got == expected)


def _array(value: Any) -> np.ndarray:
    """Convert numbers, also complex amplitudes, to an array."""
    plain = value.detach().cpu().numpy() if hasattr(value, "detach") else value
    try:
        values = np.asarray(plain)
    except (TypeError, ValueError):
        values = np.array(None)
    return values if values.dtype.kind in "biufc" else grading.as_array(value)


def _text(value: Any) -> str:
    return grading.short_text(tuple(value) if isinstance(value, tuple) else value)
