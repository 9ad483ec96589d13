"""Predictions and builds of lesson 6: QTHA's change, and a layer that holds it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from qtha_lab.lessons.builds import build_task
from qtha_lab.lessons.predictions import prediction

prediction(
    "6.a",
    "Is QTHA's change of a layer one matrix times x, so that it can be merged into the weight?",
    options=("yes", "no"),
    answer="no",
    misconceptions={"yes": "a circuit depends on its data as cosines, so no matrix equals it"},
)
prediction(
    "6.b",
    "Four initialisations with zero change. Which one never moves?",
    options=("paper", "balanced", "isometric", "B and the last core of M_B are zero"),
    misconceptions={
        "paper": "its last core is zero, but the gradient of this core is not",
        "balanced": "B is zero, but the gradient of B is not",
        "isometric": "B is zero, but the gradient of B is not",
    },
)
prediction(
    "6.c",
    "SmolLM2, trained: the power of the circuit's branch, as a share of the linear branch's?",
    options=("above 50 %", "15 to 50 %", "below 15 %"),
    misconceptions={
        "above 50 %": "the linear branch grows during the training, the means stay within ±1",
    },
)


NAMES = ("A", "W_c", "W_q", "B")


@dataclass(frozen=True)
class PackageLayer:
    """A small QTHA layer of the package with random tensors, none of them zero.

    Attributes:
        change: The package's change of the layer.
        tensors: Its tensors by name.
        scale: Factor α / r of the change.
    """

    change: Any
    tensors: dict[str, Tensor]
    scale: float

    @property
    def parts(self) -> dict[str, Any]:
        """Tensors by name; "down" and "up" hold cores of shape (left, out, in, right)."""
        return _pieces_of(self.change, self.tensors)

    def delta(self, x: Tensor) -> Tensor:
        """Return the package's change of the output."""
        return self.change.delta(self.tensors, x)

    def losses(self, x: Tensor, y: Tensor, steps: int = 3) -> list[float]:
        """Return the squared errors of the change during some steps of Adam.

        Args:
            x: Inputs of the layer, (rows, in).
            y: Target of the change.
            steps: Number of steps.
        """
        leaves = {name: tensor.clone().requires_grad_() for name, tensor in self.tensors.items()}
        return adam_losses(lambda: self.change.delta(leaves, x), leaves.values(), y, steps)


def adam_losses(output: Callable[[], Tensor], trained: Any, y: Tensor, steps: int) -> list[float]:
    """Return squared errors during some steps of Adam.

    Args:
        output: Returns the output at the present parameters.
        trained: Trained parameters.
        y: Target of the output.
        steps: Number of steps.
    """
    optimizer, losses = torch.optim.Adam(list(trained), lr=0.01), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (output() - y).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def package_layer(in_features: int = 24, out_features: int = 16, seed: int = 0) -> PackageLayer:
    """Return a small QTHA layer of the package with two circuit layers.

    Args:
        in_features: Inputs of the layer.
        out_features: Outputs of the layer.
        seed: Seed of the tensors.

    Example:
        >>> layer = package_layer()
        >>> layer.delta(torch.ones(5, 24, dtype=torch.float64)).shape
        torch.Size([5, 16])
    """
    from qtha_lab.adapters import QthaConfig
    from qtha_lab.adapters.change import Layer

    config = QthaConfig(r=3, waist=8, bond_dim=2, n_sites=3, n_layers=2, init_weights=False)
    change: Any = config.change(Layer(in_features, out_features))
    torch.manual_seed(seed)
    specs = change.tensors().items()
    tensors = {name: torch.empty(s.shape, dtype=torch.float64) for name, s in specs}
    change.initialise(tensors)
    return PackageLayer(change, tensors, config.scale)


def _pieces_of(change: Any, tensors: dict[str, Tensor]) -> dict[str, Any]:
    parts: dict[str, Any] = {name: tensors[name] for name in NAMES}
    parts["angles"] = tensors["params"]
    for side, name in (("down", "M_A"), ("up", "M_B")):
        cores, shape = change.operators(tensors)[name]
        sites = zip(cores, shape.sites, strict=True)
        parts[side] = [core.reshape(site).permute(2, 0, 3, 1) for core, site in sites]
    return parts


def _inputs(rows: int = 5) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(rows, 24, dtype=torch.float64)


def _change_shape(function):
    layer, x = package_layer(), _inputs()
    return tuple(function(layer.parts, x, layer.scale).shape), (5, 16), "x of shape (5, 24)"


def _linear_path(function):
    layer, x = package_layer(), _inputs()
    layer.tensors["W_q"].zero_()
    return function(layer.parts, x, layer.scale), layer.delta(x), "W_q = 0, so no circuit"


def _circuit_path(function):
    layer, x = package_layer(), _inputs()
    layer.tensors["W_c"].zero_()
    return function(layer.parts, x, layer.scale), layer.delta(x), "W_c = 0, so no linear branch"


def _whole(function):
    layer, x = package_layer(), _inputs()
    return function(layer.parts, x, layer.scale), layer.delta(x), "all parts"


def _all_gradients(function):
    layer, x = package_layer(), _inputs()
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in layer.tensors.items()}
    ours = function(_pieces_of(layer.change, leaves), x, layer.scale).square().sum()
    right = layer.change.delta(leaves, x).square().sum()
    results = [torch.autograd.grad(loss, list(leaves.values())) for loss in (ours, right)]
    flat = [torch.cat([g.flatten() for g in gradients]) for gradients in results]
    return (*flat, "the gradients of every tensor of the sum of squares")


CHANGE = """
    def qtha_change(parts, x, scale):
        h = apply_chain(parts["down"], x) @ parts["A"].T
        n_layers = len(parts["angles"]) // (4 * h.shape[-1])
        q = qtha_circuit(h, parts["angles"], n_layers)
        z = q @ parts["W_q"].T + h @ parts["W_c"].T
        return scale * apply_chain(parts["up"], z @ parts["B"].T)
"""
PIECES = """
from qtha_lab.lessons import own_build

apply_chain = own_build("2.apply")
qtha_circuit = own_build("3.circuit")
"""
build_task(
    "6.change",
    "qtha_change",
    steps=(
        ("the change has the shape of the output", _change_shape),
        ("the linear branch equals the package's", _linear_path),
        ("the circuit's branch equals the package's", _circuit_path),
        ("the whole change equals the package's", _whole),
        ("the gradient of every tensor equals the package's", _all_gradients),
    ),
    tolerance=1e-6,
    solution=CHANGE,
    setup=PIECES,
)


def _module(built):
    layer = package_layer()
    torch.manual_seed(2)
    base = nn.Linear(24, 16, dtype=torch.float64)
    return layer, base, built(base, layer.parts, layer.scale)


def _trained(built):
    layer, _, module = _module(built)
    count = sum(p.numel() for p in module.parameters() if p.requires_grad)
    return count, layer.change.n_parameters(), "the parameters with requires_grad"


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


build_task(
    "6.layer",
    "QthaLinear",
    steps=(
        ("as many parameters are trained as in the package", _trained),
        ("the output is that of the base plus the change", _output),
        ("three steps of Adam have the package's losses", _adam),
    ),
    tolerance=1e-6,
    solution="""
        class QthaLinear(torch.nn.Module):
            def __init__(self, base, parts, scale):
                super().__init__()
                self.base, self.scale = base.requires_grad_(False), scale
                self.parts = torch.nn.ParameterDict()
                for name, value in parts.items():
                    many = isinstance(value, list)
                    copies = [torch.nn.Parameter(v.clone()) for v in (value if many else [value])]
                    self.parts[name] = torch.nn.ParameterList(copies) if many else copies[0]

            def forward(self, x):
                change = qtha_change(self.parts, x.reshape(-1, x.shape[-1]), self.scale)
                return self.base(x) + change.reshape(*x.shape[:-1], -1)
    """,
    setup="import torch\n" + PIECES + CHANGE.replace("\n    ", "\n"),
)
