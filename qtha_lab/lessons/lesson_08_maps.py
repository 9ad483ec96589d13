"""Exercises of lesson 8: a realised change above r, and a map of constant Jacobian."""

from collections.abc import Callable
from typing import Any

import numpy as np

from qtha_lab.lessons.object_graders import Construction
from qtha_lab.lessons.registry import exercise

SIZE, TOKENS, MOST_R = 24, 60, 4
WIDE = {
    "config": "a QthaConfig is expected",
    "r": "choose an r of 2, 3 or 4, so that the ranks are quick to count",
    "circuit": "without its circuit the change is one matrix of rank r",
    "rank": "its realised change has rank r at most: z has only r entries, whatever the layers",
}


def _is_config(config: Any) -> bool:
    from qtha_lab import QthaConfig

    return isinstance(config, QthaConfig)


def _exceeds(config: Any) -> bool:
    import torch

    from qtha_lab.adapters.change import Layer

    config.init_weights = False
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        change = config.change(Layer(SIZE, SIZE))
        tensors = change.start(torch.float64)
        values = torch.linalg.svdvals(
            change.delta(tensors, torch.randn(TOKENS, SIZE, dtype=torch.float64))
        )
    return int((values > 1e-9 * values[0]).sum()) > config.r


def _config(**options: Any) -> str:
    sizes = {"waist": 8, "bond_dim": 2, "n_sites": 3, **options}
    return "wide_config = QthaConfig(" + ", ".join(f"{k}={v!r}" for k, v in sizes.items()) + ")"


exercise(
    "8.5",
    "A realised change above r",
    difficulty=2,
    minutes=6,
    kind="C",
    answer="wide_config",
    hints=(
        "What goes into the circuit, and how many numbers come out?",
        "Section 4 names a setting that measures more than one number for each qubit.",
        'QthaConfig(r=3, readout="z+zz", …): six numbers come out, three go in.',
    ),
    solution=_config(r=3, readout="z+zz"),
    mistakes=(
        ("wide_config = 'readout=z+zz'", WIDE["config"]),
        (_config(r=8), WIDE["r"]),
        (_config(r=3, use_circuit=False), WIDE["circuit"]),
        (_config(r=3, n_layers=6), WIDE["rank"]),
    ),
    setup="from qtha_lab import QthaConfig",
    grader=Construction(
        (
            (_is_config, WIDE["config"]),
            (lambda config: 2 <= config.r <= MOST_R, WIDE["r"]),
            (lambda config: bool(config.use_circuit), WIDE["circuit"]),
            (_exceeds, WIDE["rank"]),
        )
    ),
    remark="Each Jacobian still has rank r at most: only r numbers go in.",
)

MAP = {
    "function": "a function of an array (tokens, in) is expected, such as lambda x: x @ W",
    "shape": "the map gives one row for each token",
    "jacobian": "its Jacobian differs between tokens, so its token dependence is not 0",
    "linear": "it is linear: it maps zero to zero",
}


def _rows(function: Callable[[np.ndarray], Any], x: np.ndarray) -> np.ndarray:
    return np.asarray(function(x.copy()), float)


def _has_rows(function: Any) -> bool:
    values = _rows(function, np.zeros((5, 3)))
    return values.ndim == 2 and len(values) == 5


def _has_one_jacobian(function: Any) -> bool:
    draws = np.random.default_rng(0)
    x, step = 3 * draws.normal(size=(20, 3)), draws.normal(size=3)
    change = _rows(function, x + step) - _rows(function, x)
    return bool(np.allclose(change, change[:1], atol=1e-8))


def _moves_zero(function: Any) -> bool:
    return bool(np.abs(_rows(function, np.zeros((1, 3)))).max() > 1e-9)


exercise(
    "8.6",
    "Token dependence 0, and not linear",
    difficulty=2,
    minutes=6,
    kind="C",
    answer="not_linear",
    hints=(
        "A constant Jacobian J at every x: what is the difference of f(x) and J x?",
        "Its Jacobian is zero, so the difference is one constant for all x.",
        "x @ W + c with any c that is not zero. There is no other kind.",
    ),
    solution="""
        def not_linear(x):
            return x @ np.eye(3) + 1.0
    """,
    mistakes=(
        ("not_linear = 'impossible'", MAP["function"]),
        ("not_linear = lambda x: x.sum()", MAP["shape"]),
        ("not_linear = lambda x: np.tanh(x) + 1", MAP["jacobian"]),
        ("not_linear = lambda x: 2 * x", MAP["linear"]),
    ),
    setup="import numpy as np",
    grader=Construction(
        (
            (callable, MAP["function"]),
            (_has_rows, MAP["shape"]),
            (_has_one_jacobian, MAP["jacobian"]),
            (_moves_zero, MAP["linear"]),
        )
    ),
    remark="Affine maps are all: a constant Jacobian integrates to a matrix and an offset.",
)
