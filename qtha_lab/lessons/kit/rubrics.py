"""Points of exercises and builds.

A checked answer has one point per star, a build one per step. An explanation has one per point of
its rubric, which a person gives.
"""

from qtha_lab.lessons.builds import BUILDS
from qtha_lab.lessons.object_graders import WrittenAnswer
from qtha_lab.lessons.registry import EXERCISES


def points_of(number: str) -> int:
    """Return the points of an exercise or build.

    Example:
        >>> points_of("3.1"), points_of("3.gate") > 1
        (1, True)
    """
    if number in BUILDS:
        return len(BUILDS[number].steps)
    return len(rubric_of(number)) or EXERCISES.get_or_refuse(number).difficulty


def rubric_of(number: str) -> tuple[str, ...]:
    """Return the rubric of an explanation; empty for other exercises and builds."""
    grader = EXERCISES[number].grader if number in EXERCISES else None
    return grader.rubric if isinstance(grader, WrittenAnswer) else ()
