"""Checks of lesson 6: QTHA's change, and a layer that holds it."""

import numpy as np
import torch
from torch import Tensor, nn

from qtha_lab.lessons import grading
from qtha_lab.lessons.graders.shared import flat_gradient, n_trained
from qtha_lab.lessons.package_layer import adam_losses, layer_parts, package_layer


def _inputs(rows: int = 5) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(rows, 24, dtype=torch.float64)


def _vectors(pair) -> list[np.ndarray]:
    x, other = (np.asarray(v, dtype=float).reshape(-1) for v in pair)
    return [x, other]


def _are_inputs(pair) -> bool:
    return all(v.size == 24 for v in _vectors(pair))


def _are_finite(pair) -> bool:
    return all(np.isfinite(v).all() for v in _vectors(pair))


def _are_not_zero(pair) -> bool:
    return all(np.abs(v).max() > 0 for v in _vectors(pair))


def _is_not_additive(pair) -> bool:
    x, other = _vectors(pair)
    rows = torch.as_tensor(np.stack([x + other, x, other, np.zeros(24)]))
    both, first, second, zero = package_layer().delta(rows)
    return float((both - first - second + zero).norm() / first.norm()) > 0.01


def _layers():
    for seed in (0, 1):
        layer = package_layer(8, 16, seed)
        torch.manual_seed(seed)
        x = torch.randn(4, 8, dtype=torch.float64)
        yield (layer.parts, x, layer.scale), layer.delta(x)


_mended_change = grading.Function(_layers, label=lambda *_: "a layer of 8 inputs and 16 outputs")


def _change_shape(function):
    layer, x = package_layer(), _inputs()
    return tuple(function(layer.parts, x, layer.scale).shape), (5, 16), "x of shape (5, 24)"


def _compared(function, inputs: str, zero: str = ""):
    layer, x = package_layer(), _inputs()
    if zero:
        layer.tensors[zero].zero_()
    return function(layer.parts, x, layer.scale), layer.delta(x), inputs


def _linear_path(function):
    return _compared(function, "W_q = 0, so no circuit", zero="W_q")


def _circuit_path(function):
    return _compared(function, "W_c = 0, so no linear branch", zero="W_c")


def _whole(function):
    return _compared(function, "all parts")


def _all_gradients(function):
    layer, x = package_layer(), _inputs()
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in layer.tensors.items()}
    changes = (
        function(layer_parts(layer.change, leaves), x, layer.scale),
        layer.change.delta(leaves, x),
    )
    ours, right = (flat_gradient(change.square().sum(), leaves.values()) for change in changes)
    return ours, right, "the gradients of every tensor of the sum of squares"


def _module(built):
    layer = package_layer()
    torch.manual_seed(2)
    base = nn.Linear(24, 16, dtype=torch.float64)
    return layer, base, built(base, layer.parts, layer.scale)


def _trained(built):
    layer, _, module = _module(built)
    return n_trained(module), layer.change.n_parameters(), "the parameters with requires_grad"


def _output(built):
    layer, base, module = _module(built)
    x = _inputs(10).reshape(2, 5, 24)
    return module(x), base(x) + layer.delta(x), "x of shape (2, 5, 24)"


def _adam(built):
    layer, base, module = _module(built)
    x, y = _inputs(), torch.zeros(5, 16, dtype=torch.float64)
    trained = [p for p in module.parameters() if p.requires_grad]
    ours = adam_losses(lambda: module(x) - base(x), trained, y, 3)
    return ours, layer.losses(x, y), "three steps of Adam, learning rate 0.01"
