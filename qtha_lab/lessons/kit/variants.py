"""Exercises with other constants for each student, drawn from declared ranges by a seed.

use_seed(7)     the first cell of a student's notebook: `check` grades with these constants
"""

import dataclasses
import random
import re
from collections.abc import Mapping, Sequence

from qtha_lab.core.errors import Refusal
from qtha_lab.lessons import grading
from qtha_lab.lessons.kit.constants import CONSTANTS
from qtha_lab.lessons.kit.lesson_page import LessonCell, LessonPage
from qtha_lab.lessons.registry import EXERCISES, Exercise, exercises

MOST = 1_000_000  # students
ACTIVATION = "from qtha_lab.lessons.kit.variants import use_seed\n\nuse_seed({seed})"


def draw(number: str, seed: int) -> dict[str, float]:
    """Return the constants of an exercise for a seed; empty without declared ranges.

    Args:
        number: Number of the exercise.
        seed: Seed of a student, from 0.

    Raises:
        Refusal: If the seed is out of range.

    Example:
        >>> draw("3.1", 7) == draw("3.1", 7), draw("3.2", 7)
        (True, {})
    """
    if not 0 <= seed < MOST:
        raise Refusal(f"seed must be from 0 to {MOST - 1:,}, got {seed:,}.")
    declared = CONSTANTS.get(number)
    draws = random.Random(f"{number}/{seed}")
    return {n: draws.choice(v) for n, v in declared.ranges.items()} if declared else {}


def variant(exercise: Exercise, constants: Mapping[str, float]) -> Exercise:
    """Return an exercise with other constants; its grader takes the value of its solution.

    Args:
        exercise: Exercise as declared.
        constants: Drawn constants; without any the exercise stays as declared.
    """
    if not constants:
        return exercise
    number = exercise.number
    changed = dataclasses.replace(
        exercise,
        hints=tuple(replaced(number, hint, constants) for hint in exercise.hints),
        solution=replaced(number, exercise.solution, constants),
        mistakes=tuple((replaced(number, c, constants), why) for c, why in exercise.mistakes),
    )
    if not isinstance(exercise.grader, grading.Number):
        return changed
    right = grading.as_number(changed.answer_of(changed.solution))
    grader = dataclasses.replace(exercise.grader, right=right)
    return dataclasses.replace(changed, grader=grader)


def replaced(number: str, text: str, constants: Mapping[str, float]) -> str:
    """Return text or code of an exercise with drawn constants.

    Args:
        number: Number of the exercise.
        text: Text or code.
        constants: Drawn constants by name.

    Example:
        >>> replaced("3.1", "np.cos(0.7)", {"x": 0.4})
        'np.cos(0.4)'
    """
    places = CONSTANTS[number].places
    literals = "|".join(map(re.escape, sorted(places, key=len, reverse=True)))

    def expression(literal: re.Match) -> str:
        return re.sub(r"\{(\w)\}", lambda name: f"{constants[name[1]]:g}", places[literal[0]])

    return re.sub(rf"(?<![\w.])(?:{literals})(?!\w|\.\d)", expression, text)


def use_seed(seed: int) -> None:
    """Replace the exercises of this process by those of a student's seed.

    Args:
        seed: Seed of the student.
    """
    for exercise in exercises():
        if constants := draw(exercise.number, seed):
            changed = variant(_as_declared(exercise), constants)
            EXERCISES.add(exercise.number, changed, EXERCISES.module_of(exercise.number))


_declared: dict[str, Exercise] = {}


def _as_declared(exercise: Exercise) -> Exercise:
    """Return the exercise before any seed was used."""
    return _declared.setdefault(exercise.number, exercise)


def seeded_page(page: LessonPage, seed: int) -> LessonPage:
    """Return a lesson with the tasks of a seed, whose second cell uses the seed.

    Args:
        page: Lesson as found.
        seed: Seed of a student.
    """
    cells = []
    for cell in page.cells:
        constants = draw(cell.number, seed) if cell.role == "task" else {}
        source = replaced(cell.number, cell.source, constants) if constants else cell.source
        cells.append(dataclasses.replace(cell, source=source))
    data = {"cell_type": "code", "id": "use-seed", "metadata": {}}
    first = LessonCell("code", ACTIVATION.format(seed=seed), "code", "", (), data)
    return dataclasses.replace(page, cells=(cells[0], first, *cells[1:]))


def seed_key(seed: int) -> list[tuple[str, str, str, Sequence[str]]]:
    """Return number, constants, right answer and wrong answers of every seeded exercise.

    Args:
        seed: Seed of a student.
    """
    rows = []
    for number in sorted(CONSTANTS):
        constants = draw(number, seed)
        changed = variant(_as_declared(EXERCISES[number]), constants)
        stated = ", ".join(f"{name} = {value:g}" for name, value in constants.items())
        answers = [changed.answer_of(code) for code in (changed.solution, *_codes(changed))]
        right, *wrong = (grading.short_text(answer) for answer in answers)
        rows.append((number, stated, right, wrong))
    return rows


def _codes(exercise: Exercise) -> list[str]:
    return [code for code, _ in exercise.mistakes]
