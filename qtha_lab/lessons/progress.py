"""A drawing of the course: predictions, builds and exercises of each lesson, and those done."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qtha_lab.core.io import whole_number
from qtha_lab.lessons import saved_answers
from qtha_lab.lessons.builds import BUILDS
from qtha_lab.lessons.predictions import PREDICTIONS, SKIP
from qtha_lab.lessons.registry import EXERCISES

DONE, TRIED, SKIPPED, OPEN = "✓", "✗", "–", "○"
MEANING = f"{DONE} done, {TRIED} tried, {SKIPPED} skipped, {OPEN} open"
KINDS = ("predictions", "builds", "exercises")


@dataclass(frozen=True)
class CourseProgress:
    """State of every prediction, build and exercise.

    Attributes:
        lessons: By lesson and kind, the sign of each number.
    """

    lessons: Mapping[int, Mapping[str, Mapping[str, str]]]

    @property
    def done(self) -> tuple[int, int]:
        """Number of builds and exercises done, and number of all."""
        signs = [
            sign
            for kinds in self.lessons.values()
            for kind in ("builds", "exercises")
            for sign in kinds[kind].values()
        ]
        return signs.count(DONE), len(signs)

    def __repr__(self) -> str:
        lines = [
            f"lesson {lesson:02}  " + "   ".join(f"{kind} {_signs(kinds[kind])}" for kind in KINDS)
            for lesson, kinds in self.lessons.items()
        ]
        return "\n".join([self._sentence(), *lines, MEANING])

    def _sentence(self) -> str:
        done, everything = self.done
        return f"{done} of {everything} builds and exercises are done."

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{kind}</th>' for kind in ("lesson", *KINDS))
        body = "".join(
            f'<tr><th scope="row">{lesson:02}</th>'
            + "".join(f"<td>{_labelled_signs(kinds[kind])}</td>" for kind in KINDS)
            + "</tr>"
            for lesson, kinds in self.lessons.items()
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f"<p>{self._sentence()}</p>{table}<p>{MEANING}</p>"


def progress() -> CourseProgress:
    """Draw the course with the reader's predictions, builds and exercises.

    Example:
        >>> print(progress()._repr_html_()[:13])
        <p>... of ...
    """
    states = {
        "predictions": (PREDICTIONS, _prediction_sign),
        "builds": (BUILDS, _sign),
        "exercises": (EXERCISES, _sign),
    }
    lessons: dict[int, dict[str, dict[str, str]]] = {}
    for kind in saved_answers.KINDS:
        registry, sign = states[kind]
        stored = saved_answers.entries(kind)
        for number in sorted(registry, key=_order):
            lesson = lessons.setdefault(int(number.split(".")[0]), {name: {} for name in KINDS})
            lesson[kind][number] = sign(stored.get(number, {}))
    return CourseProgress(dict(sorted(lessons.items())))


def _order(number: str) -> tuple[int, int, str]:
    lesson, place = number.split(".")
    return int(lesson), whole_number(place) or 0, place


def _sign(entry: Mapping[str, Any]) -> str:
    return DONE if entry.get("done") else TRIED if entry.get("attempts") else OPEN


def _prediction_sign(entry: Mapping[str, Any]) -> str:
    answer = entry.get("answer")
    return OPEN if answer is None else SKIPPED if answer == SKIP else DONE


def _signs(states: Mapping[str, str]) -> str:
    return "".join(states.values()) or "none"


def _labelled_signs(states: Mapping[str, str]) -> str:
    return " ".join(
        f'<span title="{html.escape(number)}">{sign}&nbsp;{html.escape(number)}</span>'
        for number, sign in states.items()
    )
