"""What our methods need to know of the layer that they adapt: its sizes, its format, its block."""

import re

from peft.tuners.tuners_utils import _get_in_out_features
from peft.utils import resolve_quantization_backend
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear
from transformers.pytorch_utils import Conv1D

from qtha_lab.errors import Refusal


def layer_sizes(module: nn.Module, name: str = "") -> tuple[int, int]:
    """(in_features, out_features) of a layer our methods adapt.

    Raises:
        ValueError: If the layer is of another kind.
    """
    quantised = not isinstance(module, nn.Linear | Conv1D) and resolve_quantization_backend(module)
    fits = isinstance(module, nn.Linear | Conv1D) or (
        quantised and quantised.layer_type == "linear"
    )
    if not fits or isinstance(module, NonDynamicallyQuantizableLinear):
        raise Refusal(
            f"target module {name!r} is a {type(module).__name__}; "
            "only linear layers (nn.Linear, Conv1D) can be adapted"
        )
    return _get_in_out_features(module)


def quantised_kind(layer: nn.Module) -> str | None:
    """The name of the format a layer's weight is kept in, None for plain numbers."""
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, Tensor):
        return type(layer).__name__
    plain = type(weight) in (nn.Parameter, Tensor) and weight.is_floating_point()
    return None if plain else type(weight).__name__


def block_of(name: str) -> int | None:
    """The index of the transformer block in a module's name: 3 in `model.layers.3.q_proj`."""
    found = re.search(r"\.(\d+)\.", name)
    return int(found[1]) if found else None
