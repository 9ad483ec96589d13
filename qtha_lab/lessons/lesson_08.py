"""Exercises of lesson 8: bounds of rank, the non-linear share, token dependence."""

import numpy as np

from qtha_lab.lessons import grading
from qtha_lab.lessons.object_graders import Selection
from qtha_lab.lessons.registry import exercise

exercise(
    "8.1",
    "The largest possible rank",
    difficulty=1,
    minutes=5,
    kind="N",
    answer="largest_ranks",
    hints=(
        "Δy is B's columns mixed by z: how many numbers has z for each read-out?",
        "One for each qubit; one more for each pair; one for each bit string of r qubits.",
        "Is a constant a direction? Rows of Δ(X) are not centred: count all columns of B.",
    ),
    solution="largest_ranks = (4, 10, 16)",
    mistakes=(
        (
            "largest_ranks = (4, 4, 4)",
            "r bounds what goes in; what comes out is mixed from the entries of z",
        ),
        (
            "largest_ranks = (300, 300, 300)",
            "the tokens bound it too, but B has far fewer columns than there are tokens",
        ),
        (
            "largest_ranks = (4, 6, 16)",
            "the second read-out keeps the means beside the products",
        ),
        (
            "largest_ranks = (4, 10, 15)",
            (
                "well thought: probabilities add up to 1, so they vary in one direction fewer. But"
                " the rows of the realised change are not centred, and then their constant sum is a"
                " direction too"
            ),
        ),
    ),
    grader=grading.WholeNumbers((4, 10, 16)),
    remark="And the rank of every single Jacobian stays at most 4: z has only 4 inputs.",
)


def _updates():
    draws = np.random.default_rng(0)
    x = draws.normal(size=(60, 3)) + 2  # a non-zero mean, so that the fit needs its offset
    weight = draws.normal(size=(3, 2))
    for y in (x @ weight, x**2 @ weight, x @ weight + np.tanh(2 * x[:, :2] - 4)):
        y = y - y.mean(axis=0)  # so that ‖y‖² and ‖y − mean‖² are equal
        design = np.column_stack([x, np.ones(len(x))])
        residual = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
        yield (x, y), (residual**2).sum() / (y**2).sum()


exercise(
    "8.2",
    "The non-linear share",
    difficulty=2,
    minutes=10,
    answer="nonlinear_share",
    hints=(
        (
            "A column of ones beside x gives the fit its offset: `np.column_stack([x,"
            " np.ones(len(x))])`."
        ),
        "np.linalg.lstsq(x, y, rcond=None)[0] is the matrix W of the best fit x @ W ≈ y.",
        "The share is what is left over: Σ‖y - x W‖² over Σ‖y‖², with the x that has the ones.",
    ),
    solution="""
        import numpy as np


        def nonlinear_share(x, y):
            x = np.column_stack([x, np.ones(len(x))])
            W = np.linalg.lstsq(x, y, rcond=None)[0]
            return ((y - x @ W) ** 2).sum() / (y**2).sum()
    """,
    mistakes=(
        (
            """
            def nonlinear_share(x, y):
                W = np.linalg.lstsq(x, y, rcond=None)[0]
                return ((y - x @ W) ** 2).sum() / (y**2).sum()
            """,
            "without an offset a constant counts as non-linear, which it is not",
        ),
        (
            """
            def nonlinear_share(x, y):
                x = np.column_stack([x, np.ones(len(x))])
                W = np.linalg.lstsq(x, y, rcond=None)[0]
                return 1 - ((y - x @ W) ** 2).sum() / (y**2).sum()
            """,
            "that is the share that the fit explains; what it leaves over was asked for",
        ),
        (
            """
            def nonlinear_share(x, y):
                x = np.column_stack([x, np.ones(len(x))])
                W = np.linalg.lstsq(x, y, rcond=None)[0]
                return np.linalg.norm(y - x @ W) / np.linalg.norm(y)
            """,
            "that is a ratio of lengths; shares are of squares, so that they add up to 1",
        ),
        (
            """
            def nonlinear_share(x, y):
                x = np.column_stack([x, np.ones(len(x))])
                W = np.linalg.lstsq(x, y, rcond=None)[0]
                return ((y - x @ W) ** 2).sum()
            """,
            "that is the residual itself; a share divides by all of the change",
        ),
    ),
    setup="import numpy as np",
    grader=grading.Function(_updates, label=lambda x, y: f"{len(x)} tokens"),
    remark=(
        "In sample it flatters: with as many features as tokens it is 0 whatever the update does."
    ),
)


def _stacks():
    draws = np.random.default_rng(1)
    repeated = np.repeat(draws.normal(size=(1, 2, 3)), 5, axis=0)
    for J in (
        repeated,
        draws.normal(size=(7, 2, 3)),
        repeated + 0.1 * draws.normal(size=(5, 2, 3)),
    ):
        yield (J,), ((J - J.mean(0)) ** 2).sum() / (J**2).sum()


exercise(
    "8.3",
    "Token dependence",
    difficulty=2,
    minutes=10,
    answer="token_dependence",
    hints=(
        "What would every token's Jacobian be if the update were one matrix?",
        "J.mean(axis=0) is the mean Jacobian. What is left of J when it is taken away?",
        "Σ‖J - mean‖² over Σ‖J‖², over all tokens.",
    ),
    solution="""
        def token_dependence(J):
            return ((J - J.mean(axis=0)) ** 2).sum() / (J**2).sum()
    """,
    mistakes=(
        (
            "token_dependence = lambda J: J.var()",
            (
                "`var` takes one mean over all entries; the mean Jacobian has a mean an entry. "
                "And a share is of something"
            ),
        ),
        (
            "token_dependence = lambda J: (J.mean(axis=0) ** 2).sum() / (J**2).sum()",
            "that is the mean's share, counted for one token; what is not the mean was asked for",
        ),
        (
            "token_dependence = lambda J: ((J - J.mean(axis=0)) ** 2).sum()",
            "that is the residual itself; a share divides by the sum of all squares",
        ),
        (
            "token_dependence = lambda J: ((J - J.mean()) ** 2).sum() / (J**2).sum()",
            "one mean over all entries was taken away; the mean Jacobian is a matrix",
        ),
    ),
    setup="import numpy as np",
    grader=grading.Function(_stacks, label=lambda J: f"{len(J)} Jacobians"),
    remark="0 for any LoRA, at most 1: where Jacobians of opposite sign cancel, the mean is small.",
)

REASONS = {
    "a": "a share says how far the update is from a matrix, and nothing about the loss",
    "b": "the cosines have the larger share and no qubits, so the share names no quantum part",
    "c": "the last SiLU layer starts at zero: a small share after few steps says when, not what",
    "d": "an offset belongs to the fit; the sentence is true of all three updates",
    "e": "the bound follows from the formula, for any function of r numbers",
}

exercise(
    "8.4",
    "Shares of three controls",
    difficulty=2,
    minutes=6,
    kind="E",
    answer="supported",
    hints=(
        "Which sentences need a measurement that is not on this page?",
        "A comparison of shares is no comparison of losses.",
        "Two sentences follow from the definitions alone; choose those.",
    ),
    solution='supported = "de"',
    mistakes=(
        ('supported = "ade"', REASONS["a"]),
        ('supported = "bde"', REASONS["b"]),
        ('supported = "cde"', REASONS["c"]),
        ('supported = "e"', REASONS["d"]),
        ('supported = "d"', REASONS["e"]),
    ),
    grader=Selection("de", REASONS),
    remark="A share describes an update. What the update is worth is a difference of losses.",
)
