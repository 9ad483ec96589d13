"""Builds: code that a reader writes, checked step by step against the package.

    build("1.lora", LoRALinear)     runs the declared steps, simplest first

The first step that fails is shown with its input. The text file of the lesson declares a build. A
step is a sentence and a function of the reader's build that returns what the build gives, what is
expected, and the input:

    [[build]]
    number = "1.lora"
    name = "LoRALinear"
    steps = [
      { check = "shape", sentence = "the output has shape (5, 4)" },
      { check = "forward", sentence = "the output equals PEFT's" },
    ]
    solution = '''
    class LoRALinear(nn.Module):
        ...
    '''
"""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from qtha_lab.core.errors import Refusal, describe_error
from qtha_lab.core.registry import Registry
from qtha_lab.figures.expected_values import expected_values
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.lessons import grading, guard, saved_answers
from qtha_lab.lessons.time_limit import (
    SECONDS,
    AnswerTimeout,
    import_for_code,
    import_for_module,
    time_limit,
)

Step = tuple[str, Callable[..., Any]]
BUILDS: Registry["BuildTask"] = Registry("build", "qtha_lab.lessons", prefix="lesson_texts")
MOST_PRINTED, MOST_DRAWN = 8, 64  # values
SIGNS = {"built": "✓", "not yet": "✗", "not attempted": "○"}


@dataclass(frozen=True)
class BuildTask:
    """Declaration of one build.

    Attributes:
        number: Lesson and name, `"1.lora"`.
        name: Function or class that the reader writes.
        steps: Sentence and check of each step, simplest first.
        tolerance: Largest difference from the package, absolute and relative.
        solution: Code of one right build.
        setup: Code that the notebook ran before, such as imports.
        mistakes: (code of a wrong build, sentence of the step that finds it).
    """

    number: str
    name: str
    steps: tuple[Step, ...] = field(repr=False)
    tolerance: float = 1e-6
    solution: str = field(default="", repr=False)
    setup: str = field(default="", repr=False)
    mistakes: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def __post_init__(self):
        if not re.fullmatch(r"\d+\.[a-z][a-z0-9_]*", self.number):
            raise Refusal(
                f"number must be a lesson and a name such as '1.lora', got {self.number!r}."
            )
        if not self.steps:
            raise Refusal(f"Build {self.number} has no steps.")

    def solved(self, code: str = "") -> Any:
        """Run the solution, or other code, after the setup, and return its result."""
        names: dict[str, Any] = {}
        exec(self.setup, names)
        exec(code or self.solution, names)
        return names[self.name]


@dataclass(frozen=True)
class BuildResult:
    """Steps that hold, and the first that fails.

    Attributes:
        number: Number of the build.
        state: "built", "not yet" or "not attempted".
        passed: Sentences of the steps that hold.
        failed: Sentence of the first step that fails; empty without one.
        reason: Fault of this step: the results, or the error.
        given: Input of this step as text.
        figure: The values beside the expected ones, where they are few.
    """

    number: str
    state: str
    passed: tuple[str, ...] = ()
    failed: str = ""
    reason: str = ""
    given: str = ""
    figure: Figure | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        return "\n".join(f"{sign} {text}" for sign, text in self._lines())

    def _lines(self) -> list[tuple[str, str]]:
        lines = [(SIGNS[self.state], f"{self.number} {self.state}")]
        lines += [("✓", text) for text in self.passed]
        if self.failed:
            lines.append(("✗", f"{self.failed}: {self.reason}"))
            lines += [(" ", f"input: {self.given}")] if self.given else []
        elif self.reason:
            lines.append((" ", self.reason))
        return lines

    def _repr_html_(self) -> str:
        kind = {"built": "success", "not yet": "error"}.get(self.state, "info")
        edge = f"border-left:4px solid var(--jp-{kind}-color1,#767676);padding:4px 10px"
        lines = "<br>".join(html.escape(f"{sign} {text}") for sign, text in self._lines())
        picture = self.figure.svg() if self.figure else ""
        return f'<div role="status" style="{edge}">{lines}</div>{picture}'


def build(number: str, built: Any) -> BuildResult:
    """Check a reader's build step by step, and store it if all steps pass.

    Args:
        number: Number of the build, `"1.lora"`.
        built: The reader's function or class; `...` counts as not attempted.

    Raises:
        Refusal: If there is no such build. No answer raises an error.
    """
    guard.put_back_before_grading()
    task = BUILDS.get_or_refuse(number)
    if grading.is_empty(built):
        todo = "write it in place of ... and run both cells again"
        return BuildResult(number, "not attempted", reason=todo)
    _prepare(task)
    passed: list[str] = []
    for sentence, step in task.steps:
        fault = _fault(step, built, task.tolerance)
        if fault.reason:
            saved_answers.count_attempt("builds", number, is_done=False)
            return BuildResult(number, "not yet", tuple(passed), sentence, *fault)
        passed.append(sentence)
    saved_answers.count_attempt("builds", number, is_done=True)
    saved_answers.store_code(number, task.name, built)
    return BuildResult(number, "built", tuple(passed))


def _prepare(task: BuildTask) -> None:
    """Import what the steps need, before the clock starts."""
    import_for_module(BUILDS.module_of(task.number))
    import_for_code(task.setup)
    import_for_code(task.solution)
    guard.protect_libraries()


class StepFault(NamedTuple):
    """Fault of a step: reason, input as text and picture; no reason if it holds."""

    reason: str
    given: str = ""
    figure: Figure | None = None


def _fault(step: Callable[..., Any], built: Any, tolerance: float) -> StepFault:
    try:
        with guard.unchanged_state(), guard.limited_output(), time_limit():
            got, expected, given = step(built)
            grading.refuse_replaced()
    except AnswerTimeout:
        return StepFault(f"it is not done after {SECONDS:g} seconds")
    except grading.ReplacedFunction as error:
        return StepFault(str(error))
    except (Exception, SystemExit) as error:  # the answer may do anything
        return StepFault(f"it stops with {describe_error(error)}")
    text = grading.short_text(given, 300)
    try:
        reason = _difference(got, expected, tolerance)
    except grading.WrongAnswer as error:
        return StepFault(str(error), text)
    return StepFault(reason, text, _picture(got, expected) if reason else None)


def _difference(got: Any, expected: Any, tolerance: float) -> str:
    """Return the difference of a result from the expected one; empty if there is none."""
    if got is None and expected is not None:
        return "it returns nothing: is there a return?"
    if isinstance(expected, (tuple, str, bool)):  # such as a shape
        return "" if _is_same(got, expected) else f"{_text(got)} instead of {_text(expected)}"
    values, right = _array(got), _array(expected)
    if values.shape != right.shape:
        return f"shape {values.shape} instead of {right.shape}"
    if np.allclose(values, right, rtol=tolerance, atol=tolerance):
        return ""
    if values.size > MOST_PRINTED:
        return f"it differs by up to {np.abs(values - right).max():.3g}"
    return f"{_numbers(values)} instead of {_numbers(right)}"


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


def _picture(got: Any, expected: Any) -> Figure | None:
    """Return bars of few real values beside the expected values of the same shape."""
    if got is None or isinstance(expected, (tuple, str, bool)):
        return None
    values, right = (np.real(_array(of)).ravel().astype(float) for of in (got, expected))
    few = values.shape == right.shape and 1 < values.size <= MOST_DRAWN
    return (
        expected_values(values.tolist(), right.tolist())
        if few and np.isfinite(values).all()
        else None
    )


def _text(value: Any) -> str:
    return grading.short_text(tuple(value) if isinstance(value, tuple) else value)


def _numbers(values: np.ndarray) -> str:
    text = np.array2string(values, precision=6, separator=", ", suppress_small=True)
    return " ".join(text.split())
