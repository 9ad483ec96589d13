"""Exercises and pages of the lessons: `check` an answer, ask for a `hint`, unfold the `solution`.

    check("1.2", answer)   says "right", what is wrong, or "not attempted" for `...`; never fails
    hint("1.2")            one more hint per call; on a page, one more per click
    solution("1.2")        the code, folded on a page

A page says which model it uses and what is to be seen in what it ran (`page`).

A lesson's exercises are one file here, `lesson_01.py`, and appear by being declared:

    exercise(
        "1.2", "Stable rank", difficulty=1, minutes=5, answer="stable_rank",
        hints=("What does the Frobenius norm add up?", "...", "..."),
        solution='''
            def stable_rank(values):
                return sum(v**2 for v in values) / max(values) ** 2
        ''',
        mistakes=(
            ("stable_rank = lambda values: sum(values) / max(values)", "the values enter squared"),
        ),
        grader=grading.Function(lambda: [(([3.0, 3.0, 0.0],), 2.0)]),
        remark="One large value hides any number of others.",
    )

`grader` says what is right. Solution and the code in `mistakes` leave the answer under the name `answer`;
`setup` is code that the notebook ran before. An answer that does what one of `mistakes` does gets the
reason of that mistake, which must not hold the right value. Tests run every solution and every wrong answer, and
hold number, title, difficulty and minutes against the notebook, where an exercise is, in this order:

    ### Exercise 1.2 · Stable rank            a markdown cell; its second paragraph is `exercise.effort`
    ★☆☆ · 5 minutes                           (`★★☆ · 10 minutes`), then the task
    stable_rank = ...                         the stub, a code cell of its own
    check("1.2", stable_rank)                 and then hint("1.2") and solution("1.2"), a cell each
"""

from qtha_lab.lessons.answers import Verdict, check, hint, solution
from qtha_lab.lessons.registry import Exercise, exercise, exercises, get
from qtha_lab.lessons.statements import page_model, what_to_see

__all__ = [
    "Exercise",
    "Verdict",
    "check",
    "exercise",
    "exercises",
    "get",
    "hint",
    "page_model",
    "solution",
    "what_to_see",
]
