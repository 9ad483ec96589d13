"""The bank of answers that is kept apart from the exercises' files, and verdicts on them."""

import functools
import tomllib
from pathlib import Path

from qtha_lab.lessons import check, exercises

LESSONS = Path(__file__).parents[1] / "lessons"
ANSWERS = tomllib.loads((LESSONS / "answers.toml").read_text(encoding="utf-8"))
FUNCTIONS = tomllib.loads((LESSONS / "function_answers.toml").read_text(encoding="utf-8"))
RIGHT = {title: answers.get("right", []) for title, answers in ANSWERS.items()}
WRONG = {title: answers.get("wrong", []) for title, answers in ANSWERS.items()}
BY_TITLE = {exercise.title: exercise for exercise in exercises()}
OWN_METHOD = "A method of your own"  # graded by a process of its own: seconds for each answer


def verdict_on(title, *code):
    exercise = BY_TITLE[title]
    if len(code) == 2:
        change, to = (part.strip("\n") for part in code)
        assert change in exercise.solution
        code = [exercise.solution.replace(change, to)]
    return check(exercise.number, exercise.answer_of(*code))


FUNCTION_ANSWERS = [
    (title, number) for title, entries in FUNCTIONS.items() for number in range(len(entries))
]
HELD_OUT = [(title, number) for title, number in FUNCTION_ANSWERS if number % 3 == 2]


@functools.cache
def verdict_of(title, number):
    change, to, *_ = FUNCTIONS[title][number]
    return verdict_on(title, change, to)
