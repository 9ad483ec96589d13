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
        said = f"{self.state}: {self.message}" if self.message else self.state
        return f"{SIGNS[self.state]} {self.number} {said}"

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
    one = get(number)
    if judge.is_empty(answer):
        todo = "put your answer in place of ... and run both cells again"
        return Verdict(number, "not attempted", todo)
    try:
        remark = one.checker(answer)
    except judge.Wrong as why:
        return Verdict(number, "wrong", str(why))
    except Exception as stopped:  # an answer of a kind that nobody thought of
        return Verdict(number, "wrong", f"it stops with {type(stopped).__name__}: {stopped}")
    return Verdict(number, "right", remark or "")


def hint(number: str) -> Folded:
    """The next hint; after the last one, the last again."""
    one = get(number)
    _GIVEN[number] = min(_GIVEN[number] + 1, len(one.hints))
    turn = _GIVEN[number]
    pieces = [(_title(one, k), f"<p>{html.escape(text)}</p>") for k, text in enumerate(one.hints)]
    return Folded(pieces, f"{_title(one, turn - 1)}: {one.hints[turn - 1]}")


def _title(one: Exercise, index: int) -> str:
    return f"Hint {index + 1} of {len(one.hints)} for {one.number}"


def solution(number: str) -> Folded:
    """The code of one right answer; there are others."""
    one = get(number)
    title = f"Solution of {number}"
    return Folded([(title, f"<pre>{html.escape(one.solution)}</pre>")], one.solution)
