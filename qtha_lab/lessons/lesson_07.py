"""Exercises of lesson 7: an abstract at one rate, unequal starts, best of trials, edges."""

from qtha_lab.lessons import grading
from qtha_lab.lessons.object_graders import Selection
from qtha_lab.lessons.registry import exercise

ABSTRACT = {
    "a": "the table of section 1 holds this, and the sentence names its rate",
    "b": "one rate for all methods favours those that it suits; the sentence names no rate",
    "c": "the table of section 2 holds this: each method has its own rate there",
    "d": "the control without the circuit has the same loss, so no effect of a circuit is shown",
    "e": "the evaluation loss at step 0 is almost that of the best run",
    "f": "where no method learns anything, a ranking says nothing about what they can learn",
}

exercise(
    "7.1",
    "The abstract, corrected",
    difficulty=2,
    minutes=10,
    kind="E",
    answer="kept",
    hints=(
        "Which sentences name the rate at which they hold?",
        "Compare the best evaluation loss with the one at step 0.",
        "Two sentences go: one hides its rate, one ranks methods on a task that teaches nothing.",
    ),
    solution='kept = "acde"',
    mistakes=(
        ('kept = "cde"', ABSTRACT["a"]),
        ('kept = "abcde"', ABSTRACT["b"]),
        ('kept = "ade"', ABSTRACT["c"]),
        ('kept = "ace"', ABSTRACT["d"]),
        ('kept = "acd"', ABSTRACT["e"]),
        ('kept = "acdef"', ABSTRACT["f"]),
    ),
    grader=Selection("acde", ABSTRACT),
    remark="Rubric: the rate, the control, and what the task teaches at all; one point each.",
)

EDGES = {
    "a": "outside the range a better rate may lie, so widen it on that side",
    "b": "an edge is where the search stopped; it is no property of the method",
    "c": "the best rate is the smallest because every step does harm: nothing is learned",
    "d": "a preference needs a minimum inside the range",
    "e": "the base model is the run of rate zero, the natural end of this edge",
}

exercise(
    "7.2",
    "An optimum at the edge",
    difficulty=2,
    minutes=6,
    kind="E",
    answer="consequences",
    hints=(
        "What would you do next, before you write anything?",
        "Which run is the limit of ever smaller rates?",
        "Three letters say what to do or what it means; two state a finding too early.",
    ),
    solution='consequences = "ace"',
    mistakes=(
        ('consequences = "ce"', EDGES["a"]),
        ('consequences = "abce"', EDGES["b"]),
        ('consequences = "ae"', EDGES["c"]),
        ('consequences = "acde"', EDGES["d"]),
        ('consequences = "ac"', EDGES["e"]),
    ),
    grader=Selection("ace", EDGES),
    remark="Rubric: widen, and say what an edge means where nothing is learned.",
)

CAUSES = {
    "a": "the head takes random numbers that the seed set later does not repeat",
    "b": "in training mode dropout removes random entries, also in an evaluation",
    "c": "no step has been taken, so a learning rate has had no effect yet",
    "d": "B = 0 keeps the model as it is: this makes the first losses equal, not unequal",
    "e": "the order of training batches does not enter an evaluation before the first step",
}

exercise(
    "7.3",
    "Two methods, two first losses",
    difficulty=2,
    minutes=6,
    kind="B",
    answer="causes",
    hints=(
        "Before the first step all methods are the same model. What can still be random?",
        "Run `first_loss` twice for each letter, and compare.",
        "Two letters are random at evaluation time: a layer, and a mode.",
    ),
    solution='causes = "ab"',
    mistakes=(
        ('causes = "b"', CAUSES["a"]),
        ('causes = "a"', CAUSES["b"]),
        ('causes = "abc"', CAUSES["c"]),
        ('causes = "abd"', CAUSES["d"]),
        ('causes = "abe"', CAUSES["e"]),
    ),
    grader=Selection("ab", CAUSES),
    remark="Equal first losses are a test that costs one evaluation. Run it always.",
)

POOL = "[4.30, 4.21, 4.19, 4.50, 4.25, 4.18, 4.60, 4.20]"

exercise(
    "7.4",
    "Best of a few trials",
    difficulty=2,
    minutes=8,
    kind="N",
    answer="best_of_few",
    ranges={"k": (3, 2, 4)},
    phrases=("best of {k},",),
    hints=(
        "Draw {k} of the eight values with replacement, many times, and average the best.",
        "Sorted ascending, the i-th value is the best with ((n-i+1)/n)ᵏ - ((n-i)/n)ᵏ.",
        "`expected_best(pool, {k})` of your build is this sum.",
    ),
    solution=f"""
        ordered = np.sort({POOL})
        beyond = 1 - np.arange(9) / 8
        best_of_few = float((beyond[:-1] ** {{k}} - beyond[1:] ** {{k}}) @ ordered)
    """,
    mistakes=(
        ("best_of_few = 4.18", "that is the best of all eight: a few draws often miss it"),
        ("best_of_few = 4.30375", "that is the mean, the expected value of a single draw"),
        (
            f"best_of_few = sorted({POOL})[{{k}} - 1]",
            "that is a sorted value by its place; the expected best is a mean over draws",
        ),
        (
            f"best_of_few = min({POOL}[:{{k}}])",
            "that is the best of the first values: an expectation weights all draws",
        ),
    ),
    setup="import numpy as np",
    grader=grading.Number(4.20431640625, rtol=1e-4),
    remark="Best of many is no estimate of a method: it falls with the number of trials.",
)
