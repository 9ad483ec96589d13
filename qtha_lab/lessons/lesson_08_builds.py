"""Predictions and build of lesson 8: ranks, bounds, and Jacobians of an update."""

import torch

from qtha_lab.lessons.builds import build_task
from qtha_lab.lessons.lesson_08_tokens import example_update
from qtha_lab.lessons.predictions import prediction

prediction(
    "8.a",
    "A thousand changes Δy of QTHA's layer are the rows of a matrix. What is its largest rank?",
    options=("r", "1000", "the width of the layer"),
    answer="r",
    misconceptions={
        "1000": "every row is mixed from the r columns of U",
        "the width of the layer": "a circuit inside the bottleneck does not widen its output",
    },
)
prediction(
    "8.b",
    "The read-out z+zz: which view of its update can have a rank above r?",
    options=("linear path", "one Jacobian", "realised change", "none"),
    answer="realised change",
    misconceptions={
        "linear path": "it is one product through r numbers",
        "one Jacobian": "only r numbers go in, so each Jacobian has rank r at most",
        "none": "B has a column for each read-out, so more directions come out",
    },
)
prediction(
    "8.c",
    "Which update has the largest non-linear share?",
    options=("circuit", "SiLU layers", "cosines"),
    misconceptions={
        "SiLU layers": "their last layer starts at zero, so they are almost linear at first",
        "circuit": "its read-outs are sums of cosines too",
    },
)


def _matrix(function):
    weight = torch.tensor([[1.0, 2.0], [0.0, 3.0], [5.0, 0.0]], dtype=torch.float64)
    x = torch.tensor([[1.0, 0.0], [2.0, 1.0]], dtype=torch.float64)
    return function(lambda rows: rows @ weight.mT, x), weight.expand(2, 3, 2), "x ↦ W x, two tokens"


def _squares(function):
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    return function(torch.square, x), torch.diag_embed(2 * x), "x ↦ x², two tokens"


def _dependence(function):
    from qtha_lab.analysis import jacobians_of

    update, x = example_update()
    J = function(update, x[:40])
    share = (J - J.mean(0)).square().sum() / J.square().sum()
    right = jacobians_of(update, x[:40]).token_dependence
    return share, right, "the token dependence of a QTHA update of 24 inputs, 40 tokens"


build_task(
    "8.jacobian",
    "jacobians",
    steps=(
        ("a matrix is its own Jacobian at every token", _matrix),
        ("each token has its own Jacobian", _squares),
        ("the token dependence is the package's", _dependence),
    ),
    tolerance=1e-4,
    solution="""
        def jacobians(update, x):
            at_one = torch.func.jacrev(lambda token: update(token[None])[0])
            return torch.stack([at_one(token) for token in x])
    """,
    setup="import torch",
)
