"""Linear layers whose weights are quantised, and a linear layer that rounds input and weight.

Rounded weights keep the model's own precision, so memory use does not change.
Layers of torchao and bitsandbytes store few bits, and their grids are not trained.
"""

from collections.abc import Iterator
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from qtha_lab.core.errors import Refusal
from qtha_lab.models.quantisation.grid import WHOLE, rotated_and_rounded, straight_through

HEADS = ("lm_head", "score", "classifier")  # not quantised, like embeddings
LINEAR = (nn.Linear, Conv1D)


def rounded_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the linear layers between embeddings and head, by name."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, LINEAR) and not {*HEADS} & {*name.split(".")}
    }


def matrix_of(layer: nn.Module) -> Float[Tensor, "out_features in_features"]:
    """Return a layer's weight in float64, (out_features, in_features)."""
    weight = cast(Tensor, layer.weight).detach().to(torch.float64)
    return weight.mT if isinstance(layer, Conv1D) else weight


@torch.no_grad()
def set_matrix(layer: nn.Module, matrix: Float[Tensor, "out_features in_features"]) -> None:
    """Replace a layer's weight in place, in the layer's precision."""
    weight = cast(Tensor, layer.weight)
    weight.copy_(matrix.mT if isinstance(layer, Conv1D) else matrix)


def linear_sizes(model: nn.Module) -> Iterator[tuple[str, int, int]]:
    """Yield name, in_features and out_features of the layers that are rounded."""
    for name, layer in rounded_layers(model).items():
        out_features, in_features = cast(Tensor, layer.weight).shape
        if isinstance(layer, Conv1D):
            in_features, out_features = out_features, in_features
        yield name, in_features, out_features


def check_groups(model: nn.Module, group: int | None) -> None:
    """Refuse a group size that does not divide the inputs of a layer."""
    for name, in_features, _ in linear_sizes(model):
        if group and in_features % group:
            raise Refusal(
                f"quantization must have a g that divides the {in_features} inputs of {name}, got "
                f"g={group}."
            )


class RoundedLinear(nn.Linear):
    """Linear layer with rounded input, one grid per token: y = W x̂ + b.

    x̂ = t ⊙ Q(x / t) with a scale t per input, or x̂ = R Q(Rᵀ x) with a rotation R. The gradient of
    x̂ in x is 1. The weight multiplies x̂ directly, so readers of the weight get the layer's own
    map. With `weight_bits` the weight is unrounded, and each pass computes Q(W R) Rᵀ x̂ + b.

    Args:
        layer: Layer whose weight and bias are reused.
        bits: Bits of each input; 16 disables rounding.

    Attributes:
        weight_bits: Bits of each weight, rounded in each pass; None for weights on their grid.
        after_training: True rounds nothing in training mode.
    """

    scale: Tensor | None
    rotation: Tensor | None
    weight_bits: int | None = None
    after_training: bool = False

    def __init__(self, layer: nn.Linear, bits: int):
        super().__init__(
            layer.in_features, layer.out_features, layer.bias is not None, device="meta"
        )
        self.weight, self.bias = layer.weight, layer.bias
        self.bits = bits
        self.register_buffer("scale", None, persistent=False)
        self.register_buffer("rotation", None, persistent=False)
        self.train(layer.training)

    @property
    def rounds_changes(self) -> bool:
        """True if an adapter's change is added to the weight before rounding."""
        return self.weight_bits is not None

    def forward(self, input: Tensor) -> Tensor:
        """Compute the layer's output for its rounded input."""
        return self.with_change(input, None)

    def with_change(
        self,
        x: Float[Tensor, "*batch in_features"],
        delta_weight: Float[Tensor, "out_features in_features"] | None,
    ) -> Float[Tensor, "*batch out_features"]:
        """Compute the output with the weight W + ΔW, rounded with a gradient of 1."""
        weight = self.weight if delta_weight is None else self.weight + delta_weight
        if self.after_training and self.training:
            return nn.functional.linear(x, weight.to(self.weight.dtype), self.bias)
        weight = self.rounded_weight(weight).to(self.weight.dtype)
        return nn.functional.linear(self.rounded(x), weight, self.bias)

    def rounded_weight(
        self, weight: Float[Tensor, "out_features in_features"]
    ) -> Float[Tensor, "out_features in_features"]:
        """Compute Q(W R) Rᵀ, one grid per row; a weight on its grid stays unchanged."""
        if self.weight_bits is None:
            return weight
        return rotated_and_rounded(weight, self.rotation, self.weight_bits)

    def rounded(
        self, x: Float[Tensor, "*batch in_features"]
    ) -> Float[Tensor, "*batch in_features"]:
        """Compute x̂ in the precision of x."""
        if self.bits >= WHOLE and self.rotation is None and self.scale is None:
            return x
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        with torch.autocast(x.device.type, enabled=False):
            if self.rotation is not None:
                return rotated_and_rounded(wide, self.rotation, self.bits).to(x.dtype)
            if self.scale is not None:
                return (self.scale * straight_through(wide / self.scale, self.bits)).to(x.dtype)
            return straight_through(wide, self.bits).to(x.dtype)

    def extra_repr(self) -> str:
        """Format sizes and bits."""
        return f"{super().extra_repr()}, input_bits={self.bits}"


@torch.no_grad()
def round_trained_weights(model: nn.Module) -> None:
    """Replace the unrounded weights of a trained model by the rounded ones, in place.

    The outputs in evaluation mode stay bit-identical, and are then those in training mode too.
    """
    for module in model.modules():
        if isinstance(module, RoundedLinear) and module.weight_bits is not None:
            module.weight.copy_(module.rounded_weight(module.weight))
            module.weight_bits = None
        if hasattr(module, "after_training"):  # layers, keys and values
            cast(Any, module).after_training = False


def with_rounded_inputs(model: nn.Module, bits: int) -> dict[str, RoundedLinear]:
    """Replace every layer that is rounded by a `RoundedLinear`.

    Returns:
        The new layers by name.
    """
    new = {}
    for name, layer in rounded_layers(model).items():
        parent, _, last = name.rpartition(".")
        new[name] = RoundedLinear(cast(nn.Linear, layer), bits)
        setattr(model.get_submodule(parent), last, new[name])
    return new


def check_linear(model: nn.Module) -> None:
    """Refuse layers of another class than `nn.Linear`."""
    for name, layer in rounded_layers(model).items():
        if not isinstance(layer, nn.Linear):
            raise Refusal(
                "quantization must be round or outliers for a layer other than nn.Linear, got "
                f"{name}, a {type(layer).__name__}."
            )


def record_scheme(model: nn.Module, text: str) -> None:
    """Record the scheme's call on every rounded layer, to prevent merging into the layer."""
    for layer in rounded_layers(model).values():
        cast(Any, layer).rounding = text
