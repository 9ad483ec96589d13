"""A small QTHA layer of the package, against which a reader's layer is compared."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

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
        return layer_parts(self.change, self.tensors)

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


def layer_parts(change: Any, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Return the tensors of a change by name, with cores as (left, out, in, right)."""
    parts: dict[str, Any] = {name: tensors[name] for name in NAMES}
    parts["angles"] = tensors["params"]
    for side, name in (("down", "M_A"), ("up", "M_B")):
        cores, shape = change.operators(tensors)[name]
        sites = zip(cores, shape.sites, strict=True)
        parts[side] = [core.reshape(site).permute(2, 0, 3, 1) for core, site in sites]
    return parts
