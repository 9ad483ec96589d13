"""Builds: code that a reader writes, checked step by step against the package.

    build("1.lora", LoRALinear)     runs the declared steps, simplest first

The first step that fails is shown with its input, the expected values and, for a usual mistake, its
cause. The text file of the lesson declares a build:

    [[build]]
    number = "1.lora"
    name = "LoRALinear"
    minutes = 15
    hints = ["…", "…", "…"]
    steps = [
      { check = "shape", sentence = "the output has shape (5, 4)" },
      { check = "forward", sentence = "the output equals PEFT's" },
    ]
    drawing = '''
    x ──> A ──> B ──> change
    '''
    stub = '''
    class LoRALinear(nn.Module):
        ...
    '''
    solution = '''
    class LoRALinear(nn.Module):
        ...
    '''

    [[build.mistakes]]
    change = "alpha / r"
    to = "alpha"
    fails = "forward"
    reason = "the change is scaled by α in place of α / r"
"""

import html
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from qtha_lab.core.errors import Refusal
from qtha_lab.core.registry import Registry
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.lessons import grading, guard, saved_answers
from qtha_lab.lessons.answer_source import run_with_source
from qtha_lab.lessons.build_steps import StepOutcome, run_step
from qtha_lab.lessons.time_limit import import_for_code, import_for_module

log = logging.getLogger(__name__)

Step = tuple[str, Callable[..., Any]]
BUILDS: Registry["BuildTask"] = Registry("build", "qtha_lab.lessons", prefix="lesson_texts")
SIGNS = {"built": "✓", "not yet": "✗", "not attempted": "○"}


class BuildMistake(NamedTuple):
    """Code of a wrong build, sentence of the step that finds it, and its cause."""

    code: str
    step: str
    reason: str


@dataclass(frozen=True)
class BuildTask:
    """Declaration of one build.

    Attributes:
        number: Lesson and name, `"1.lora"`.
        name: Function or class that the reader writes.
        steps: Sentence and check of each step, simplest first.
        tolerance: Largest difference from the package, absolute and relative.
        minutes: Minutes of a reader.
        hints: Three hints, from a first idea to almost the whole solution.
        drawing: The data's path as text.
        stub: Code that the reader completes; its docstring holds a small case.
        solution: Code of one right build.
        setup: Code that the notebook ran before, such as imports.
        mistakes: Usual mistakes.
    """

    number: str
    name: str
    steps: tuple[Step, ...] = field(repr=False)
    tolerance: float = 1e-6
    minutes: int = 0
    hints: tuple[str, ...] = field(default=(), repr=False)
    drawing: str = field(default="", repr=False)
    stub: str = field(default="", repr=False)
    solution: str = field(default="", repr=False)
    setup: str = field(default="", repr=False)
    mistakes: tuple[BuildMistake, ...] = field(default=(), repr=False)

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
        run_with_source(f"{self.setup}\n\n\n{code or self.solution}", names)
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
        cause: Usual mistake with the same results; empty without one.
        given: Input of this step as text.
        figure: The values beside the expected ones, where they are few.
    """

    number: str
    state: str
    passed: tuple[str, ...] = ()
    failed: str = ""
    reason: str = ""
    cause: str = ""
    given: str = ""
    figure: Figure | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        return "\n".join(f"{sign} {text}" for sign, text in self._lines())

    def _lines(self) -> list[tuple[str, str]]:
        lines = [(SIGNS[self.state], f"{self.number} {self.state}")]
        lines += [("✓", text) for text in self.passed]
        if self.failed:
            lines.append(("✗", f"{self.failed}: {self.reason}"))
            lines += [("→", self.cause)] if self.cause else []
            lines += [(" ", f"input: {self.given}")] if self.given else []
            lines.append((" ", f'hint("{self.number}") helps on'))
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
        outcome = run_step(step, built)
        if fault := outcome.fault(task.tolerance):
            saved_answers.count_attempt("builds", number, is_done=False)
            cause, picture = _cause(task, sentence, outcome), outcome.picture()
            return BuildResult(
                number, "not yet", tuple(passed), sentence, fault, cause, outcome.given, picture
            )
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


def _cause(task: BuildTask, sentence: str, outcome: StepOutcome) -> str:
    """Return the reason of a usual mistake with the same result, if any."""
    for mistake in (known for known in task.mistakes if known.step == sentence):
        try:
            known = _known_outcome(task, mistake)
        except Exception as problem:  # such as a module that is not installed
            log.debug("a mistake of %s does not run: %r", task.number, problem)
            continue
        if outcome.equals(known, task.tolerance):
            return mistake.reason
    return ""


def _known_outcome(task: BuildTask, mistake: BuildMistake) -> StepOutcome:
    """Return the result of a usual mistake at the step that finds it."""
    return run_step(dict(task.steps)[mistake.step], task.solved(mistake.code))
