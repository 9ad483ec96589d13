"""Declarations and registry of exercises.

The exercises of a lesson are in a file `lesson_….py` beside this one.
"""

import re
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.registry import Registry
from qtha_lab.lessons import grading
from qtha_lab.lessons.grading import Grader
from qtha_lab.lessons.object_graders import Construction, filled

Mistake = tuple[str, str]
Constants = Mapping[str, float]

EXERCISES: Registry["Exercise"] = Registry("exercise", "qtha_lab.lessons", prefix="lesson_texts")
HARDEST = 3
HINTS = 3
KINDS = "NFBCXE"


@dataclass(frozen=True)
class Exercise:
    """Declaration of one exercise.

    Attributes:
        number: Lesson and place in it, `"4.2"`.
        difficulty: 1 to 3 stars.
        answer: Variable that holds the answer of the solution and of the learner.
        hints: Three hints, from a first idea to almost the whole solution.
        solution: Code that leaves the right answer.
        mistakes: (code that leaves a wrong answer, why it is wrong), each a mistake to be expected.
            A mistake with right values has the text of `extra_check` as its reason.
        changes: (part of the solution, text in its place, fault) of mistakes that can be combined.
        grader: Grader of answers.
        remark: Message for a right answer.
        extra_check: Raises `grading.WrongAnswer` for right values of an excluded approach.
        setup: Code that the notebook ran before the exercise and the solution needs.
        kind: N number or choice, F function, B bug, C construction, X experiment or E explanation.
        ranges: Values of each constant that varies between students, the declared value first.
            Hints, code, reasons and phrases name it as `{r}`, or `{r:,}` for thousands.
        phrases: Phrases of the notebook's task that state the constants.
        template: This exercise with the names of its constants; None without any.
    """

    number: str
    title: str
    difficulty: int
    minutes: int
    answer: str
    hints: tuple[str, ...]
    solution: str = field(repr=False)
    mistakes: tuple[Mistake, ...] = field(repr=False)
    grader: Grader | Construction = field(repr=False)
    remark: str = field(repr=False)
    extra_check: Callable[[Any], None] = field(default=lambda answer: None, repr=False)
    setup: str = field(default="", repr=False)
    kind: str = "F"
    ranges: Mapping[str, tuple[float, ...]] = field(default_factory=dict, repr=False)
    phrases: tuple[str, ...] = field(default=(), repr=False)
    changes: tuple[tuple[str, str, str], ...] = field(default=(), repr=False)
    template: "Exercise | None" = field(default=None, repr=False)

    def __post_init__(self):
        if not re.fullmatch(r"\d+\.\d+", self.number):
            raise Refusal(
                f"number must be a lesson and an exercise such as '4.2', got {self.number!r}."
            )
        if not 1 <= self.difficulty <= HARDEST:
            raise Refusal(f"difficulty must be from 1 to {HARDEST}, got {self.difficulty}.")
        if len(self.hints) != HINTS:
            raise Refusal(
                f"Hints of exercise {self.number} must hold {HINTS} texts, got {len(self.hints)}."
            )
        if self.kind not in KINDS:
            raise Refusal(f"kind must be one of {KINDS}, got {self.kind!r}.")

    def answer_of(self, code: str) -> Any:
        """Run code after the setup code of the notebook and return its answer."""
        names: dict = {}
        exec(self.setup, names)
        exec(code, names)
        return names[self.answer]

    @property
    def declared(self) -> dict[str, float]:
        """Declared value of each constant."""
        return {name: values[0] for name, values in self.ranges.items()}

    def with_constants(self, constants: Constants) -> "Exercise":
        """Return the exercise with other constants; a number is right by its solution.

        The predicates of a `Construction` get the constants that they name.

        Example:
            >>> get("1.1").with_constants({"a": 3, "b": 9}).solution
            'largest_rank = 3 + 9'
        """
        template = self.template or self
        changed = replace(
            template,
            hints=tuple(filled(hint, constants) for hint in template.hints),
            solution=filled(template.solution, constants),
            mistakes=tuple(
                (filled(code, constants), filled(why, constants)) for code, why in template.mistakes
            ),
            template=template,
        )
        grader = template.grader
        if isinstance(grader, Construction):
            grader = grader.with_constants(constants)
        elif constants != self.declared and isinstance(
            grader, grading.Number | grading.WholeNumbers
        ):
            grader = replace(grader, right=changed.answer_of(changed.solution))
        return replace(changed, grader=grader)

    @property
    def heading(self) -> str:
        """Heading of the exercise in the notebook."""
        return f"### Exercise {self.number} · {self.title}"

    @property
    def effort(self) -> str:
        """Difficulty stars and time, as in the notebook.

        Example:
            >>> get("1.1").effort
            '★☆☆ · 4 minutes'
        """
        stars = "★" * self.difficulty + "☆" * (HARDEST - self.difficulty)
        return f"{stars} · {self.minutes} minutes"


def exercise(
    number: str, title: str, *, solution: str, mistakes: tuple[Mistake, ...], **fields: Any
) -> None:
    """Declare an exercise.

    Args:
        number: Lesson and place in it, `"4.2"`.
        title: Title in the notebook's heading.
        solution: Code that leaves the right answer; common indentation is removed.
        mistakes: (code that leaves a wrong answer, why it is wrong) of each mistake to be expected.
        fields: The other attributes of `Exercise`.

    Raises:
        Refusal: If a field violates its limits.
    """
    flush = tuple((_flush(code), sentence) for code, sentence in mistakes)
    entry = Exercise(number, title, solution=_flush(solution), mistakes=flush, **fields)
    declare_exercise(entry, sys._getframe(1).f_globals["__name__"])


def declare_exercise(entry: Exercise, module: str) -> None:
    """Register an exercise with its declared constants.

    Args:
        entry: The exercise.
        module: Module with its grader.
    """
    entry = entry.with_constants(entry.declared) if entry.ranges else entry
    EXERCISES.add(entry.number, entry, module)


def _flush(code: str) -> str:
    return textwrap.dedent(code).strip()


def exercises() -> list[Exercise]:
    """Return all exercises, in the order of the lessons."""
    return sorted(
        EXERCISES.values(), key=lambda exercise: tuple(map(int, exercise.number.split(".")))
    )


def get(number: str) -> Exercise:
    """Return the exercise of that number.

    Raises:
        ValueError: If there is no such exercise.
    """
    return EXERCISES.get_or_refuse(number)
