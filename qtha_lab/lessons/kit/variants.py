"""Exercises with other constants for each student, drawn from declared ranges by a seed.

use_seed(7)     the first cell of a student's notebook: `check` grades with these constants
"""

import dataclasses
import random
from collections.abc import Sequence

from qtha_lab.core.errors import Refusal
from qtha_lab.lessons import grading
from qtha_lab.lessons.answers import state_of
from qtha_lab.lessons.kit.lesson_page import LessonCell, LessonPage
from qtha_lab.lessons.registry import EXERCISES, Constants, Exercise, exercises, filled

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
    draws = random.Random(f"{number}/{seed}")
    return {name: draws.choice(values) for name, values in EXERCISES[number].ranges.items()}


def task_with(exercise: Exercise, task: str, constants: Constants) -> str:
    """Return the task of a notebook with drawn constants.

    Args:
        exercise: Exercise of the task.
        task: Text with the declared constants.
        constants: Drawn constants by name.

    Example:
        >>> task_with(EXERCISES["3.1"], "Wire 0 is rotated by $x = 0.7$.", {"x": 0.4})
        'Wire 0 is rotated by $x = 0.4$.'
    """
    for phrase in exercise.phrases:
        task = task.replace(filled(phrase, exercise.declared), filled(phrase, constants))
    return task


def use_seed(seed: int) -> None:
    """Replace the exercises of this process by those of a student's seed."""
    for exercise in exercises():
        if constants := draw(exercise.number, seed):
            changed = exercise.with_constants(constants)
            EXERCISES.add(exercise.number, changed, EXERCISES.module_of(exercise.number))


def seeded_page(page: LessonPage, seed: int) -> LessonPage:
    """Return a lesson with the tasks of a seed, which is used after the installation."""
    cells = []
    for cell in page.cells:
        constants = draw(cell.number, seed) if cell.role == "task" else {}
        if constants:
            source = task_with(EXERCISES[cell.number], cell.source, constants)
            cell = dataclasses.replace(cell, source=source)
        cells.append(cell)
    data = {"cell_type": "code", "id": "use-seed", "metadata": {}}
    first = LessonCell("code", ACTIVATION.format(seed=seed), "code", "", (), data)
    return dataclasses.replace(page, cells=(*cells[:2], first, *cells[2:]))


def seed_key(seed: int) -> list[tuple[str, str, str, Sequence[str]]]:
    """Return number, constants, right answer and wrong answers of every seeded exercise."""
    rows = []
    for exercise in exercises():
        if constants := draw(exercise.number, seed):
            changed = exercise.with_constants(constants)
            stated = ", ".join(f"{name} = {value:g}" for name, value in constants.items())
            codes = [changed.solution, *(code for code, _ in changed.mistakes)]
            right, *wrong = (grading.short_text(state_of(changed.answer_of(c))) for c in codes)
            rows.append((exercise.number, stated, right, wrong))
    return rows
