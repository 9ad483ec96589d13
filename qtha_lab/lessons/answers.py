"""Functions for learners: `check` grades an answer, `hint` and `solution` show help.

Each returns an object that displays itself as HTML on a page and as text elsewhere.
"""

import functools
import html
import logging
from collections import Counter
from dataclasses import dataclass
from typing import Any

from qtha_lab.core.errors import describe_error
from qtha_lab.lessons import grading, guard, saved_answers
from qtha_lab.lessons.builds import BUILDS, BuildTask
from qtha_lab.lessons.generic_mistakes import generic_reason, value_fact
from qtha_lab.lessons.known_mistakes import changed_reason, combined_reason, known_reason
from qtha_lab.lessons.object_graders import WrittenAnswer
from qtha_lab.lessons.registry import EXERCISES, Exercise, get
from qtha_lab.lessons.time_limit import SECONDS as LIMIT_SECONDS
from qtha_lab.lessons.time_limit import (
    AnswerTimeout,
    import_for_code,
    import_for_module,
    time_limit,
)

log = logging.getLogger(__name__)

_HINTS_SHOWN: Counter = Counter()  # hints shown, by exercise
CAUSE_SECONDS = 2.0  # of processor time to find the cause of a wrong answer
SIGNS = {"right": "✓", "written": "✎", "wrong": "✗", "not attempted": "○"}
COMPARE = "compare it with the model answer, and tick each point that your text makes"


@dataclass(frozen=True)
class AnswerResult:
    """Result of grading.

    Attributes:
        number: Number of the exercise.
        state: "right", "written" (an explanation), "wrong" or "not attempted".
        message: Reason or remark.
        case: Smallest failing case of a function, unless the message shows it.
        tries: Number of tries so far; 0 if none counts.
        explained: Rubric and model answer of an explanation.
    """

    number: str
    state: str
    message: str = ""
    case: str = ""
    tries: int = 0
    explained: WrittenAnswer | None = None

    def __repr__(self) -> str:
        lines = [self._verdict()]
        if self.explained:
            lines += [f"☐ {point}" for point in self.explained.rubric]
            lines.append(f"Model answer: {self.explained.model_answer}")
        return "\n  ".join(lines)

    def _verdict(self) -> str:
        state = f"{self.state} (try {self.tries})" if self.tries > 1 else self.state
        verdict = f"{state}: {self.message}" if self.message else state
        lines = [f"{SIGNS[self.state]} {self.number} {verdict}", self.case]
        return "\n  ".join(filter(None, lines))

    def _repr_html_(self) -> str:
        kind = {"right": "success", "wrong": "error"}.get(self.state, "info")
        edge = f"border-left:4px solid var(--jp-{kind}-color1,#767676)"
        lines = html.escape(self._verdict()).replace("\n", "<br>")
        if self.explained:
            ticks = map(html.escape, self.explained.rubric)
            lines += "".join(f'<br><label><input type="checkbox"> {tick}</label>' for tick in ticks)
            lines += f"<p><b>Model answer.</b> {html.escape(self.explained.model_answer)}</p>"
        return f'<div role="status" style="{edge};padding:4px 10px">{lines}</div>'


class FoldedText:
    """Nested collapsible sections in HTML, with a plain-text alternative.

    Args:
        sections: Title and HTML of each section.
        text: Text to print where HTML is not available.
    """

    def __init__(self, sections: list[tuple[str, str]], text: str):
        self.sections, self.text = sections, text

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        inner = ""
        for title, body in reversed(self.sections):
            head = f'<summary style="cursor:pointer">{html.escape(title)}</summary>'
            inner = f'<details style="margin:2px 0 2px 12px">{head}{body}{inner}</details>'
        return inner


def check(number: str, answer: Any) -> AnswerResult:
    """Grade an answer and explain a wrong one; `...` counts as not attempted.

    The state of an explorer is graded in place of the explorer.

    Raises:
        ValueError: If there is no exercise of that number. No answer raises an error.

    Example:
        >>> check("1.1", ...)
        ○ 1.1 not attempted: put your answer in place of ... and run both cells again
    """
    guard.put_back_before_grading()
    exercise, answer = get(number), state_of(answer)
    if _is_empty(answer):
        todo = "put your answer in place of ... and run both cells again"
        return AnswerResult(number, "not attempted", todo)
    fault = _fault_in_time(exercise, answer)
    tries = saved_answers.count_attempt("exercises", number, is_done=fault is None)
    if fault is not None:
        case = _case(exercise, answer, fault)
        return AnswerResult(number, "wrong", fault, case, tries)
    saved_answers.store_code(number, exercise.answer, answer)
    if isinstance(exercise.grader, WrittenAnswer):
        return AnswerResult(number, "written", COMPARE, tries=tries, explained=exercise.grader)
    return AnswerResult(number, "right", exercise.remark, tries=tries)


def state_of(answer: Any) -> Any:
    """Return the state of an explorer as a dictionary; other answers stay unchanged."""
    return dict(answer.state) if hasattr(type(answer), "from_state") else answer


def _is_empty(answer: Any) -> bool:
    try:
        return grading.is_empty(answer)
    except Exception:  # a list that contains itself, for example
        return False


def _fault_in_time(exercise: Exercise, answer: Any) -> str | None:
    """Return the fault of an answer, also of an endless one, or None."""
    _prepare(exercise)
    try:
        with guard.unchanged_state(), guard.limited_output(), time_limit(LIMIT_SECONDS):
            fault = _fault(exercise, answer)
    except AnswerTimeout:
        return (
            f"it is not done after {LIMIT_SECONDS:g} seconds: does a loop end, "
            "and does it do no more than the task asks for?"
        )
    except SystemExit:
        return "it ends Python: an answer must return"
    return fault if fault is None or fault.is_cause else _cause(exercise, answer) or fault


def _prepare(exercise: Exercise) -> None:
    """Import what the grader needs and compute its cases, before the clock starts."""
    import_for_module(EXERCISES.module_of(exercise.number))
    import_for_code(exercise.setup)
    import_for_code(exercise.solution)
    guard.protect_libraries()
    getattr(exercise.grader, "cases", None)


class WrongSentence(str):
    """Sentence about a wrong answer; its cause if `is_cause`, otherwise what the answer gives."""

    is_cause = True


def _fault(exercise: Exercise, answer: Any) -> WrongSentence | None:
    """Return what is wrong in an answer; None for a right one."""
    try:
        exercise.grader.check(answer)
    except grading.ReplacedFunction as error:
        return WrongSentence(error)
    except Exception as error:  # an answer of an unexpected kind must not stop the notebook
        fault = WrongSentence(_reason(exercise.number, error))
        fault.is_cause = False
        return fault
    try:
        exercise.extra_check(answer)
        grading.refuse_replaced()
    except grading.WrongAnswer as error:
        return WrongSentence(error)
    except Exception as error:
        return WrongSentence(_reason(exercise.number, error))
    return None


def _cause(exercise: Exercise, answer: Any) -> str | None:
    """Return the first cause with the answer's values, within an own time limit."""
    ways = (known_reason, _generic_reason, combined_reason, changed_reason)
    try:
        with guard.unchanged_state(), guard.limited_output(), time_limit(CAUSE_SECONDS):
            return next(filter(None, (find(exercise, answer) for find in ways)), None)
    except (AnswerTimeout, SystemExit) as stopped:
        log.debug("%s: no cause is found: %r", exercise.number, stopped)
    return None


def _case(exercise: Exercise, answer: Any, fault: str) -> str:
    """Return the smallest failing case of a function; empty if the fault shows it."""
    if not isinstance(exercise.grader, grading.Function):
        return ""
    try:
        with guard.unchanged_state(), guard.limited_output(), time_limit(LIMIT_SECONDS):
            exercise.grader.check(answer)
    except grading.WrongAnswer as error:
        shown = str(error)
        return shown if shown.startswith("for ") and shown not in fault else ""
    except (Exception, SystemExit, AnswerTimeout) as error:
        log.debug("%s shows no case: %r", exercise.number, error)
    return ""


def _generic_reason(exercise: Exercise, answer: Any) -> str | None:
    """Return a true sentence about the answer's values that fits any exercise, if one holds."""
    right = functools.partial(exercise.answer_of, exercise.solution)
    return generic_reason(exercise.grader, right, answer) or value_fact(
        exercise.grader, right, answer
    )


def _reason(number: str, error: Exception) -> str:
    if isinstance(error, grading.WrongAnswer):
        return f'{error}; hint("{number}") helps on'
    return f"it stops with {describe_error(error)}"


def hint(number: str) -> FoldedText:
    """Return the next hint; after the last hint, the last again."""
    hints = _task(number).hints
    _HINTS_SHOWN[number] = n_shown = min(_HINTS_SHOWN[number] + 1, len(hints))
    titles = [f"Hint {k} of {len(hints)} for {number}" for k in range(1, len(hints) + 1)]
    sections = [
        (title, f"<p>{html.escape(text)}</p>") for title, text in zip(titles, hints, strict=True)
    ]
    return FoldedText(sections, f"{titles[n_shown - 1]}: {hints[n_shown - 1]}")


def _task(number: str) -> Exercise | BuildTask:
    return BUILDS.get(number) or get(number)


def solution(number: str) -> FoldedText:
    """Return the code of one right answer or build; others may also be right."""
    code = _task(number).solution
    return FoldedText([(f"Solution of {number}", f"<pre>{html.escape(code)}</pre>")], code)
