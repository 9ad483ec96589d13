"""Where a learner meets the exercises: an answer is judged, a hint given, a solution unfolded.

Each gives back something that shows itself, as HTML on a page and as text elsewhere.
"""

import html
from collections import Counter
from dataclasses import dataclass
from typing import Any

from qtha_lab.exercises import judge
from qtha_lab.exercises.registry import Exercise, get

_GIVEN: Counter = Counter()  # hints so far, by exercise
SIGNS = {"right": "✓", "wrong": "✗", "not attempted": "○"}


@dataclass(frozen=True)
class Verdict:
    """What became of an answer: `state` is "right", "wrong" or "not attempted"."""

    number: str
    state: str
    message: str = ""

    def __repr__(self) -> str:
        verdict = f"{self.state}: {self.message}" if self.message else self.state
        return f"{SIGNS[self.state]} {self.number} {verdict}"

    def _repr_html_(self) -> str:
        kind = {"right": "success", "wrong": "error"}.get(self.state, "info")
        edge = f"border-left:4px solid var(--jp-{kind}-color1,#767676)"
        return f'<div role="status" style="{edge};padding:4px 10px">{html.escape(repr(self))}</div>'


class Folded:
    """Text that is shown one piece after the other: each unfolds with a click, or is printed."""

    def __init__(self, pieces: list[tuple[str, str]], shown: str):
        self.pieces, self.shown = pieces, shown

    def __repr__(self) -> str:
        return self.shown

    def _repr_html_(self) -> str:
        inner = ""
        for title, body in reversed(self.pieces):
            head = f'<summary style="cursor:pointer">{html.escape(title)}</summary>'
            inner = f'<details style="margin:2px 0 2px 12px">{head}{body}{inner}</details>'
        return inner


def check(number: str, answer: Any) -> Verdict:
    """Say whether an answer is right and, if not, what is wrong; `...` is not attempted.

    Raises:
        ValueError: If there is no exercise of that number; never for an answer.

    Example:
        >>> check("1.1", ...)
        ○ 1.1 not attempted: put your answer in place of ... and run both cells again
    """
    exercise = get(number)
    if judge.is_empty(answer):
        todo = "put your answer in place of ... and run both cells again"
        return Verdict(number, "not attempted", todo)
    try:
        exercise.check(answer)
    except Exception as error:  # an answer of a kind that nobody thought of stops nothing either
        return Verdict(number, "wrong", _known_reason(exercise, answer) or _reason(number, error))
    return Verdict(number, "right", exercise.remark)


def _known_reason(exercise: Exercise, answer: Any) -> str | None:
    """Why the answer is wrong, if it does what one of the exercise's known mistakes does."""
    for mistake, why in exercise.wrong:
        try:
            if exercise.accepts.agrees(answer, exercise.left_by(mistake)):
                return why
        except Exception:  # it does not even run on all cases, so it is another mistake
            continue
    return None


def _reason(number: str, error: Exception) -> str:
    if isinstance(error, judge.Wrong):
        return f'{error}; hint("{number}") helps on'
    return f"it stops with {type(error).__name__}: {error}"


def hint(number: str) -> Folded:
    """The next hint; after the last one, the last again."""
    exercise = get(number)
    _GIVEN[number] = min(_GIVEN[number] + 1, len(exercise.hints))
    turn = _GIVEN[number]
    hints = exercise.hints
    pieces = [(_title(exercise, k), f"<p>{html.escape(text)}</p>") for k, text in enumerate(hints)]
    return Folded(pieces, f"{_title(exercise, turn - 1)}: {hints[turn - 1]}")


def _title(exercise: Exercise, index: int) -> str:
    return f"Hint {index + 1} of {len(exercise.hints)} for {exercise.number}"


def solution(number: str) -> Folded:
    """The code of one right answer; there are others."""
    code = get(number).solution
    return Folded([(f"Solution of {number}", f"<pre>{html.escape(code)}</pre>")], code)
