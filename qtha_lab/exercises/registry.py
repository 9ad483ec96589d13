"""What an exercise declares about itself, and how it is found.

Holds no exercise: those of a lesson lie in a file `lesson_….py` beside this one.
"""

import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from qtha_lab.errors import Refusal
from qtha_lab.registry import Registry

EXERCISES: Registry["Exercise"] = Registry("exercise", "qtha_lab.exercises", prefix="lesson_")
HARDEST = 3


@dataclass(frozen=True)
class Exercise:
    """One exercise as declared.

    Attributes:
        number: Lesson and place in it, `"4.2"`.
        difficulty: 1 to 3 stars.
        answer: The name under which the solution, and the learner, leave the answer.
        hints: From a nudge to nearly all.
        solution: Code that leaves the right answer.
        wrong: Pieces of code that leave wrong ones, each a mistake to be expected.
        checker: Raises `judge.Wrong` for a wrong answer; may return a remark for a right one.
        given: Code that the notebook ran before the exercise and the solution needs.
    """

    number: str
    title: str
    difficulty: int
    minutes: int
    answer: str
    hints: tuple[str, ...]
    solution: str = field(repr=False)
    wrong: tuple[str, ...] = field(repr=False)
    checker: Callable[[Any], str | None] = field(repr=False)
    given: str = field(default="", repr=False)

    def __post_init__(self):
        if not re.fullmatch(r"\d+\.\d+", self.number):
            raise Refusal(f"an exercise has a number such as '4.2', not {self.number!r}")
        if not 1 <= self.difficulty <= HARDEST:
            raise Refusal(f"difficulty must lie between 1 and {HARDEST}, not {self.difficulty}")
        if not self.hints or not self.wrong:
            raise Refusal(f"exercise {self.number} needs a hint and a wrong answer at least")

    @property
    def heading(self) -> str:
        """The line of the notebook that it starts with."""
        return f"### Exercise {self.number} · {self.title}"

    @property
    def effort(self) -> str:
        """Stars and time, as the notebook has them.

        Example:
            >>> get("1.1").effort
            '★☆☆ · 3 minutes'
        """
        stars = "★" * self.difficulty + "☆" * (HARDEST - self.difficulty)
        return f"{stars} · {self.minutes} minutes"


def exercise(
    number: str,
    title: str,
    *,
    difficulty: int,
    minutes: int,
    answer: str,
    hints: tuple[str, ...],
    solution: str,
    wrong: tuple[str, ...],
    given: str = "",
) -> Callable:
    """Register the function below as the checker of an exercise (see `Exercise`)."""

    def register(checker: Callable[[Any], str | None]) -> Callable[[Any], str | None]:
        codes = (_flush(solution), tuple(map(_flush, wrong)), checker, _flush(given))
        entry = Exercise(number, title, difficulty, minutes, answer, hints, *codes)
        EXERCISES.add(number, entry, checker.__module__)
        return checker

    return register


def _flush(code: str) -> str:
    return textwrap.dedent(code).strip()


def exercises() -> list[Exercise]:
    """All exercises, in the order of the lessons."""
    return sorted(EXERCISES.values(), key=lambda one: tuple(map(int, one.number.split("."))))


def get(number: str) -> Exercise:
    """The exercise of that number.

    Raises:
        ValueError: If there is none.
    """
    return EXERCISES.get_or_refuse(number)
