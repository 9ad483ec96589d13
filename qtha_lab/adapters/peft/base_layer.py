"""What our methods need to know of the layer that they adapt: its sizes, its format, its block."""

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
    """(in_features, out_features) of a layer our methods adapt; of a convolution, per patch.

    Raises:
        Refusal: If the layer is of another kind.
    """
    if isinstance(module, CONVOLUTIONS):
        if module.groups != 1:
            raise Refusal(
                f"target module {name!r} is a {type(module).__name__} of {module.groups} groups; only "
                "convolutions of one group can be adapted, whose kernel is one matrix for every patch"
            )
        return module.in_channels * math.prod(module.kernel_size), module.out_channels
    backend = None if isinstance(module, LINEAR) else resolve_quantization_backend(module)
    fits = isinstance(module, LINEAR) or (backend is not None and backend.layer_type == "linear")
    if fits and not isinstance(module, NonDynamicallyQuantizableLinear):
        in_features, out_features = _get_in_out_features(module)
        if in_features is not None and out_features is not None:
            return in_features, out_features
    raise Refusal(
        f"target module {name!r} is a {type(module).__name__}; only linear layers (nn.Linear, Conv1D) "
        "and convolutions (nn.Conv1d, nn.Conv2d) can be adapted"
    )


def as_matrix(weight: Tensor, layer: nn.Module) -> Float[Tensor, "out_features in_features"]:
    """A base weight as what multiplies an input, or a patch of it."""
    if isinstance(layer, Conv1D):
        return weight.mT
    return weight.flatten(1) if isinstance(layer, CONVOLUTIONS) else weight


def as_weight(
    matrix: Float[Tensor, "out_features in_features"], layer: nn.Module
) -> Float[Tensor, "..."]:
    """A matrix laid out as the base weight of a layer is."""
    if isinstance(layer, Conv1D):
        return matrix.mT
    if isinstance(layer, CONVOLUTIONS):
        return matrix.reshape(layer.weight.shape)
    return matrix


def inputs_of(x: Tensor, layer: nn.Module) -> Float[Tensor, "*batch in_features"]:
    """What the matrix of a layer multiplies: the input, or the patches that a convolution sees.

    A convolution is the linear map of its patches: y[:, p] = W · patch p, W the kernel with
    channels and places flattened, as in LoRA for convolutions. Padding, stride and dilation are the
    layer's.
    """
    if not isinstance(layer, CONVOLUTIONS):
        return x
    n = len(layer.kernel_size)
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    x = nn.functional.pad(x, layer._reversed_padding_repeated_twice, mode=mode)
    first = x.ndim - n  # of the axes that the kernel slides along; the axis before has the channels
    steps = zip(layer.kernel_size, layer.stride, layer.dilation, strict=True)
    for axis, (kernel, stride, dilation) in enumerate(steps, first):
        x = x.unfold(axis, dilation * (kernel - 1) + 1, stride)[..., ::dilation]
    return x.movedim(first - 1, first - 1 + n).flatten(-1 - n)


def outputs_of(y: Float[Tensor, "*batch out_features"], layer: nn.Module) -> Tensor:
    """The rows that a layer's matrix gives, laid out as the layer's output is."""
    if not isinstance(layer, CONVOLUTIONS):
        return y
    return y.movedim(-1, -1 - len(layer.kernel_size))


def rows_of(output: Tensor, layer: nn.Module) -> Float[Tensor, "*batch out_features"]:
    """A layer's output as rows, one per input or patch: the inverse of `outputs_of`."""
    if not isinstance(layer, CONVOLUTIONS):
        return output
    return output.movedim(-1 - len(layer.kernel_size), -1)


def quantised_kind(layer: nn.Module) -> str | None:
    """The name of the format a layer's weight is kept in, None for plain numbers."""
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, Tensor):
        return type(layer).__name__
    plain = type(weight) in (nn.Parameter, Tensor) and weight.is_floating_point()
    return None if plain else type(weight).__name__


def block_of(name: str) -> int | None:
    """The index of the transformer block in a module's name: 3 in `model.layers.3.q_proj`."""
    index = re.search(r"\.(\d+)\.", name)
    return int(index[1]) if index else None
