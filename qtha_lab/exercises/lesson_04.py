"""Exercises of lesson 4: bounds of rank, the non-linear share, token dependence."""

import numpy as np

from qtha_lab.exercises import judge
from qtha_lab.exercises.registry import exercise


@exercise(
    "4.1",
    "The most that the rank can be",
    difficulty=1,
    minutes=5,
    answer="largest_ranks",
    hints=(
        "Δy is B's columns mixed by z: how many numbers has z for each read-out?",
        "4 means; 4 means and 6 products of two; 16 chances, which add up to 1.",
        "The chances without their constant sum span 15; with the constant, B has 16 columns.",
    ),
    solution="largest_ranks = (4, 10, 16)",
    wrong=(
        "largest_ranks = (4, 4, 4)",
        "largest_ranks = (300, 300, 300)",
        "largest_ranks = (4, 6, 16)",
    ),
)
def _(answer):
    try:
        found = tuple(int(value) for value in answer)
    except (TypeError, ValueError):
        raise judge.Wrong("three whole numbers are asked for") from None
    if found == (4, 4, 4):
        raise judge.Wrong("r bounds what goes in; what comes out is mixed from the entries of z")
    if found[:2] == (4, 6):
        raise judge.Wrong("the second read-out keeps the means beside the products")
    judge.array(found, (4, 10, 16))
    return "And the rank of every single Jacobian stays at most 4: z has only 4 inputs."


def _fit_share(x, y):
    weight = np.linalg.lstsq(x, y, rcond=None)[0]
    return ((y - x @ weight) ** 2).sum() / (y**2).sum()


def _pairs():
    draws = np.random.default_rng(0)
    x = draws.normal(size=(60, 3))
    weight = draws.normal(size=(3, 2))
    return [(x, x @ weight), (x, x**2 @ weight), (x, x @ weight + np.tanh(2 * x[:, :2]))]


@exercise(
    "4.2",
    "The non-linear share",
    difficulty=2,
    minutes=10,
    answer="nonlinear_share",
    hints=(
        "np.linalg.lstsq(x, y, rcond=None)[0] is the matrix W of the best fit x @ W ≈ y.",
        "The share is what is left over: Σ‖y - x W‖² over Σ‖y‖².",
    ),
    solution="""
        import numpy as np


        def nonlinear_share(x, y):
            W = np.linalg.lstsq(x, y, rcond=None)[0]
            return ((y - x @ W) ** 2).sum() / (y**2).sum()
    """,
    wrong=(
        """
        def nonlinear_share(x, y):
            W = np.linalg.lstsq(x, y, rcond=None)[0]
            return 1 - ((y - x @ W) ** 2).sum() / (y**2).sum()
        """,
        """
        def nonlinear_share(x, y):
            W = np.linalg.lstsq(x, y, rcond=None)[0]
            return np.linalg.norm(y - x @ W) / np.linalg.norm(y)
        """,
    ),
    given="import numpy as np",
)
def _(answer):
    cases = [((x, y), _fit_share(x, y)) for x, y in _pairs()]
    judge.on_cases(answer, cases, told=lambda x, y: f"{len(x)} tokens")
    return (
        "In sample it flatters: with as many features as tokens it is 0 whatever the update does."
    )


@exercise(
    "4.3",
    "Token dependence",
    difficulty=2,
    minutes=10,
    answer="token_dependence",
    hints=(
        "J.mean(axis=0) is the mean Jacobian. What is left of J when it is taken away?",
        "Σ‖J - mean‖² over Σ‖J‖², over all tokens.",
    ),
    solution="""
        def token_dependence(J):
            return ((J - J.mean(axis=0)) ** 2).sum() / (J**2).sum()
    """,
    wrong=(
        "token_dependence = lambda J: J.var()",
        "token_dependence = lambda J: (J.mean(axis=0) ** 2).sum() / (J**2).sum()",
    ),
    given="import numpy as np",
)
def _(answer):
    draws = np.random.default_rng(1)
    same = np.repeat(draws.normal(size=(1, 2, 3)), 5, axis=0)
    stacks = [same, draws.normal(size=(7, 2, 3)), same + 0.1 * draws.normal(size=(5, 2, 3))]
    cases = [((J,), ((J - J.mean(0)) ** 2).sum() / (J**2).sum()) for J in stacks]
    judge.on_cases(answer, cases, told=lambda J: f"{len(J)} Jacobians")
    return (
        "0 for any LoRA, at most 1: where slopes of opposite sign cancel, the mean shows nothing."
    )
