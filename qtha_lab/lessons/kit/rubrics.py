"""Points and rubrics, derived from the declarations of exercises and builds.

A checked answer has one point per star, a build one per step, an explanation one per criterion.
"""

import re

from qtha_lab.lessons.builds import BUILDS
from qtha_lab.lessons.kit.lesson_page import LessonPage
from qtha_lab.lessons.object_graders import Selection
from qtha_lab.lessons.registry import EXERCISES, Exercise

STATED = re.compile(r"rubric has \w+ points: ([^.]+)\.")
REMARKED = re.compile(r"Rubric: ([^;.]+)")
LETTERED = re.compile(r"^\* \*\*(\w)\*\* (.+)$", re.MULTILINE)
STATED_CRITERION = "The sentences of your own account for {}."


def points_of(number: str) -> int:
    """Return the points of a checked exercise or build.

    Example:
        >>> points_of("3.1"), points_of("3.gate") > 1
        (1, True)
    """
    if number in BUILDS:
        return len(BUILDS[number].steps)
    return EXERCISES.get_or_refuse(number).difficulty


def is_explained(exercise: Exercise) -> bool:
    """Return True if a person grades sentences of the exercise."""
    return "E" in exercise.kind


def criteria(exercise: Exercise, page: LessonPage) -> list[str]:
    """Return the criteria of an explanation, one point each.

    They are those that the task states, else the reasons of the lettered sentences.

    Args:
        exercise: An exercise of kind E.
        page: Lesson of the exercise, as executed or as found.
    """
    task = page.task_of(exercise.number)
    if stated := STATED.search(task):
        return [STATED_CRITERION.format(word.strip()) for word in stated[1].split(",")]
    if remarked := REMARKED.search(exercise.remark):
        words = re.split(r", (?:and )?", remarked[1])
        return [STATED_CRITERION.format(word.strip()) for word in words]
    if not isinstance(exercise.grader, Selection):
        return [exercise.remark]
    chosen = exercise.grader.right
    return [
        f"{'Chooses' if letter in chosen else 'Rejects'} {letter}: {reason}."
        for letter, reason in exercise.grader.reasons.items()
    ]


def model_answer(exercise: Exercise, page: LessonPage) -> str:
    """Return a right answer in words: the lettered sentences that hold, and the remark."""
    if not isinstance(exercise.grader, Selection):
        return exercise.remark
    sentences = dict(LETTERED.findall(page.task_of(exercise.number)))
    reasons, right = exercise.grader.reasons, exercise.grader.right
    lines = [f"* **{a}** {sentences.get(a, '')} ({reasons[a]})" for a in reasons if a in right]
    return "\n".join([*lines, "", exercise.remark])
