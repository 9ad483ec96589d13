"""Checks of lesson 8: shares, ranks and Jacobians of an update."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from qtha_lab.lessons import grading
from qtha_lab.lessons.example_update import SIZE, example_update

TOKENS, MOST_R, WAIST = 60, 4, 8  # waist where none is given


def _updates():
    draws = np.random.default_rng(0)
    x = draws.normal(size=(60, 3)) + 2  # a non-zero mean, so that the fit needs its offset
    weight = draws.normal(size=(3, 2))
    for y in (x @ weight, x**2 @ weight, x @ weight + np.tanh(2 * x[:, :2] - 4)):
        y = y - y.mean(axis=0)  # so that ‖y‖² and ‖y − mean‖² are equal
        design = np.column_stack([x, np.ones(len(x))])
        residual = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
        yield (x, y), (residual**2).sum() / (y**2).sum()


_nonlinear_share = grading.Function(_updates, label=lambda x, y: f"{len(x)} tokens")


def _stacks():
    draws = np.random.default_rng(1)
    repeated = np.repeat(draws.normal(size=(1, 2, 3)), 5, axis=0)
    noisy = draws.normal(size=(7, 2, 3)), repeated + 0.1 * draws.normal(size=(5, 2, 3))
    for J in (repeated, *noisy):
        yield (J,), ((J - J.mean(0)) ** 2).sum() / (J**2).sum()


_token_dependence = grading.Function(_stacks, label=lambda J: f"{len(J)} Jacobians")


def _is_config(config: Any) -> bool:
    from qtha_lab import QthaConfig

    return isinstance(config, QthaConfig)


def _is_small(config: Any) -> bool:
    return 2 <= config.r <= MOST_R


def _has_circuit(config: Any) -> bool:
    return bool(config.use_circuit)


def _exceeds_r(config: Any) -> bool:
    from qtha_lab.adapters.change import Layer

    config = replace(config, init_weights=False, waist=config.waist or WAIST)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        change = config.change(Layer(SIZE, SIZE))
        tensors = change.start(torch.float64)
        values = torch.linalg.svdvals(
            change.delta(tensors, torch.randn(TOKENS, SIZE, dtype=torch.float64))
        )
    return int((values > 1e-9 * values[0]).sum()) > config.r


def _is_function(answer: Any) -> bool:
    return callable(answer)


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
