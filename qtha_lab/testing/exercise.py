"""Facts of an exercise: a right solution, and known mistakes with their reasons."""

from qtha_lab.lessons import check
from qtha_lab.lessons.registry import Exercise
from qtha_lab.testing.facts import expect, expect_text, fact


@fact("exercise", "its title, remark and hints have text, and no hint repeats")
def exercise_texts(exercise: Exercise) -> None:
    """Check the texts."""
    expect_text(exercise, "title", "remark")
    expect(all(hint.strip() for hint in exercise.hints), "a hint is empty")
    expect(len(set(exercise.hints)) == len(exercise.hints), "its hints repeat")
    expect(exercise.minutes > 0, f"minutes must be above 0, got {exercise.minutes}")


@fact("exercise", "its solution is right")
def exercise_solved(exercise: Exercise) -> None:
    """Check the grade of the solution, and that an empty answer is not attempted."""
    result = check(exercise.number, exercise.answer_of(exercise.solution))
    is_accepted = result.state in ("right", "written")
    expect(is_accepted, f"its solution is {result.state}: {result.message}")
    empty = check(exercise.number, ...)
    expect(empty.state == "not attempted", f"an empty answer is {empty.state}")


@fact("exercise", "every known mistake is wrong, for a reason of its own")
def exercise_rejected(exercise: Exercise) -> None:
    """Check the grade and the reason of every mistake."""
    reasons = [reason for _, reason in exercise.mistakes]
    expect(len(set(reasons)) == len(reasons), "two mistakes have one reason")
    for code, reason in exercise.mistakes:
        result = check(exercise.number, exercise.answer_of(code))
        expect(result.state == "wrong", f"the mistake {code!r} is graded as {result.state}")
        expect(result.message == reason, f"the mistake {code!r} gets the reason {result.message!r}")
