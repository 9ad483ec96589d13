"""Exercises of lesson 5: number of circuit runs, and a loop of shifts."""

import math

import numpy as np

from qtha_lab.lessons import grading
from qtha_lab.lessons.registry import exercise

exercise(
    "5.3",
    "Circuit runs of one training step",
    difficulty=2,
    minutes=5,
    kind="N",
    answer="n_runs",
    ranges={"n": (8, 6, 12, 16), "t": (1024, 512, 2048)},
    phrases=("{n} adapted", "{t:,} tokens"),
    hints=(
        "How many runs does one token of one layer need?",
        "Runs for trained RY, for trained CRZ, for the data, and one for the value.",
        "(2 · 32 + 4 · 32 + 2 · 16 + 1), for each of the tokens and layers.",
    ),
    solution="n_runs = (2 * 32 + 4 * 32 + 2 * 16 + 1) * {t} * {n}",
    mistakes=(
        ("n_runs = 1", "one run gives one mean of one circuit: no gradient, no other token"),
        ("n_runs = 2 * 32 + 4 * 32 + 2 * 16 + 1", "that is one token of one layer"),
        (
            "n_runs = {t} * {n}",
            "that is one run per token and layer: the values, without a gradient",
        ),
        (
            "n_runs = (2 * 64 + 2 * 16 + 1) * {t} * {n}",
            "a CRZ angle takes four runs: its read-out has two frequencies",
        ),
        (
            "n_runs = (2 * 32 + 4 * 32 + 1) * {t} * {n}",
            "the layers before this one need the gradient of its data too",
        ),
    ),
    grader=grading.Number((2 * 32 + 4 * 32 + 2 * 16 + 1) * 1024 * 8),
    remark="And each run takes thousands of shots. A simulator needs a few passes.",
)


def _loops():
    def product(angles):
        return float(np.prod(np.cos(angles)))

    for angles in ([0.3, 0.9], [0.4, -1.1, 2.0]):
        slopes = [
            -math.sin(angles[k]) * math.prod(math.cos(a) for a in angles[:k] + angles[k + 1 :])
            for k in range(len(angles))
        ]
        yield (product, angles), slopes


def _unchanged(answer):
    angles = [0.3, 0.9]
    answer(lambda values: float(np.prod(np.cos(values))), angles)
    if list(angles) != [0.3, 0.9]:
        raise grading.WrongAnswer(CHANGED)


CHANGED = "the gradients are right, but the caller's list holds other angles afterwards"

exercise(
    "5.4",
    "A loop that shifts a shared list",
    difficulty=2,
    minutes=8,
    kind="B",
    answer="all_gradients",
    hints=(
        "Print `angles` after the first round of the loop.",
        "The first angle is still shifted by -π/2 when the second is read.",
        "Copy the list in each round: `shifted = list(angles)`.",
    ),
    solution="""
        def all_gradients(f, angles):
            gradients = []
            for k in range(len(angles)):
                plus, minus = list(angles), list(angles)
                plus[k] += np.pi / 2
                minus[k] -= np.pi / 2
                gradients.append((f(plus) - f(minus)) / 2)
            return gradients
    """,
    mistakes=(
        (
            """
            def all_gradients(f, angles):
                gradients = []
                for k in range(len(angles)):
                    angles[k] += np.pi / 2
                    plus = f(angles)
                    angles[k] -= np.pi
                    gradients.append((plus - f(angles)) / 2)
                return gradients
            """,
            "the first angle keeps its shift while the second is read",
        ),
        (
            """
            def all_gradients(f, angles):
                gradients = []
                for k in range(len(angles)):
                    shifted = angles
                    shifted[k] += np.pi / 2
                    plus = f(shifted)
                    shifted[k] -= np.pi / 2
                    gradients.append((plus - f(shifted)) / 2)
                return gradients
            """,
            "the second place is the unshifted angle: the rule needs a shift to each side",
        ),
        (
            """
            def all_gradients(f, angles):
                gradients = []
                for k in range(len(angles)):
                    plus, minus = list(angles), list(angles)
                    plus[k] += np.pi / 2
                    minus[k] -= np.pi / 2
                    gradients.append(f(plus) - f(minus))
                return gradients
            """,
            "the difference of the two values is twice the gradient",
        ),
        (
            """
            def all_gradients(f, angles):
                gradients = []
                for k in range(len(angles)):
                    angles[k] += np.pi / 2
                    plus = f(angles)
                    angles[k] -= np.pi
                    gradients.append((plus - f(angles)) / 2)
                    angles[k] += np.pi / 2 + 1e-9
                return gradients
            """,
            CHANGED,
        ),
    ),
    setup="import numpy as np",
    grader=grading.Function(
        _loops, label=lambda f, angles: f"the product of the cosines of {angles}"
    ),
    extra_check=_unchanged,
    remark="A list that is shared and changed is the most common bug of shift rules.",
)
