"""Properties of a base layer: sizes, number format, layout and transformer block."""

import math
import re

from jaxtyping import Float
from peft.tuners.tuners_utils import _get_in_out_features
from peft.utils import resolve_quantization_backend
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear
from transformers.pytorch_utils import Conv1D

from qtha_lab.core.errors import Refusal

LINEAR = (nn.Linear, Conv1D)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)


def layer_sizes(module: nn.Module, name: str = "") -> tuple[int, int]:
    """Return (in_features, out_features) of a layer; for a convolution, per patch."""
    if isinstance(module, CONVOLUTIONS):
        if module.groups != 1:
            raise Refusal(
                f"target_modules must name convolutions of one group, got {name!r}, a "
                f"{type(module).__name__} of {module.groups} groups."
            )
        return module.in_channels * math.prod(module.kernel_size), module.out_channels
    backend = None if isinstance(module, LINEAR) else resolve_quantization_backend(module)
    fits = isinstance(module, LINEAR) or (backend is not None and backend.layer_type == "linear")
    if fits and not isinstance(module, NonDynamicallyQuantizableLinear):
        in_features, out_features = _get_in_out_features(module)
        if in_features is not None and out_features is not None:
            return in_features, out_features
    raise Refusal(
        "target_modules must name linear layers (nn.Linear, Conv1D) or convolutions "
        f"(nn.Conv1d, nn.Conv2d), got {name!r}, a {type(module).__name__}."
    )


def as_matrix(weight: Tensor, layer: nn.Module) -> Float[Tensor, "out_features in_features"]:
    """Reshape a base weight to the matrix that multiplies an input or a patch."""
    if isinstance(layer, Conv1D):
        return weight.mT
    return weight.flatten(1) if isinstance(layer, CONVOLUTIONS) else weight


def as_weight(
    matrix: Float[Tensor, "out_features in_features"], layer: nn.Module
) -> Float[Tensor, "..."]:
    """Reshape a matrix to the layout of a layer's base weight."""
    if isinstance(layer, Conv1D):
        return matrix.mT
    if isinstance(layer, CONVOLUTIONS):
        return matrix.reshape(layer.weight.shape)
    return matrix


def inputs_of(x: Tensor, layer: nn.Module) -> Float[Tensor, "*batch in_features"]:
    """Return the rows that a layer's matrix multiplies: inputs, or a convolution's patches.

    A convolution is the linear map of its patches: y[:, p] = W · patch p. W is the kernel with
    channels and positions flattened, as in LoRA for convolutions. Padding, stride and dilation are
    those of the layer.
    """
    if not isinstance(layer, CONVOLUTIONS):
        return x
    n = len(layer.kernel_size)
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    x = nn.functional.pad(x, layer._reversed_padding_repeated_twice, mode=mode)
    first = x.ndim - n  # first spatial axis; the channel axis precedes it
    steps = zip(layer.kernel_size, layer.stride, layer.dilation, strict=True)
    for axis, (kernel, stride, dilation) in enumerate(steps, first):
        x = x.unfold(axis, dilation * (kernel - 1) + 1, stride)[..., ::dilation]
    return x.movedim(first - 1, first - 1 + n).flatten(-1 - n)


def outputs_of(y: Float[Tensor, "*batch out_features"], layer: nn.Module) -> Tensor:
    """Reshape rows to the layout of a layer's output."""
    if not isinstance(layer, CONVOLUTIONS):
        return y
    return y.movedim(-1, -1 - len(layer.kernel_size))


def output_rows(output: Tensor, layer: nn.Module) -> Float[Tensor, "*batch out_features"]:
    """Reshape a layer's output to rows, one per input or patch: the inverse of `outputs_of`."""
    if not isinstance(layer, CONVOLUTIONS):
        return output
    return output.movedim(-1 - len(layer.kernel_size), -1)


def quantised_kind(layer: nn.Module) -> str | None:
    """Return the format of a quantised weight; None for floating-point numbers."""
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, Tensor):
        return type(layer).__name__
    plain = type(weight) in (nn.Parameter, Tensor) and weight.is_floating_point()
    return None if plain else type(weight).__name__


def block_of(name: str) -> int | None:
    """Return the transformer block's index in a module name: 3 in `model.layers.3.q_proj`."""
    index = re.search(r"\.(\d+)\.", name)
    return int(index[1]) if index else None
