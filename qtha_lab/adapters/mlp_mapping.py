"""MLP that maps a basis state and its value to a chunk of weights.

Tensors are named `map_0_weight`, `map_0_bias`, … The last layer is separate, since the weights of a
large layer are computed in slabs from its input.
"""

import itertools
import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.adapters.change import TensorSpec
from qtha_lab.core.errors import Refusal

ACTIVATIONS = {
    "none": lambda x: x,
    "relu": torch.relu,
    "silu": torch.nn.functional.silu,
    "tanh": torch.tanh,
}


def checked_widths(hidden: Sequence[int]) -> tuple[int, ...]:
    """Return the hidden widths as a tuple, after validation."""
    is_list = isinstance(hidden, (list, tuple)) and len(hidden) > 0
    if not is_list or any(not isinstance(width, int) or width < 1 for width in hidden):
        raise Refusal(
            f"hidden must be a list of whole numbers above 0, such as [32, 16], got {hidden!r}."
        )
    return tuple(hidden)


def tensors_of(sizes: Sequence[int]) -> dict[str, TensorSpec]:
    """Return names and shapes of weights and biases for these layer sizes.

    Example:
        >>> {name: spec.shape for name, spec in tensors_of((3, 2)).items()}
        {'map_0_weight': (2, 3), 'map_0_bias': (2,)}
    """
    specs = {}
    for layer, (ins, outs) in enumerate(itertools.pairwise(sizes)):
        specs[f"map_{layer}_weight"] = TensorSpec((outs, ins))
        specs[f"map_{layer}_bias"] = TensorSpec((outs,))
    return specs


def n_mlp_parameters(sizes: Sequence[int]) -> int:
    """Count Σ (ins + 1) · outs parameters."""
    return sum((ins + 1) * outs for ins, outs in itertools.pairwise(sizes))


def initialise_mlp(tensors: Mapping[str, Tensor], last_zero: bool = False) -> None:
    """Initialise like torch's Linear, uniform within 1/√fan_in; optionally zero the last layer."""
    layers = _layers(tensors)
    for weight, bias in layers:
        bound = 1 / math.sqrt(weight.shape[1])
        weight.uniform_(-bound, bound)
        bias.uniform_(-bound, bound)
    if last_zero:
        for tensor in layers[-1]:
            tensor.zero_()


def hidden_values(
    tensors: Mapping[str, Tensor], x: Float[Tensor, "states ins"], activation: str
) -> Float[Tensor, "states width"]:
    """Apply all layers but the last.

    Args:
        tensors: Weights and biases with the names of `tensors_of`.
        x: One row per basis state.
        activation: Name of the activation after every layer, from `ACTIVATIONS`.

    Example:
        >>> tensors = {name: torch.ones(spec.shape) for name, spec in tensors_of((2, 3, 1)).items()}
        >>> hidden_values(tensors, torch.tensor([[1.0, -4.0]]), "relu")  # 1 − 4 + 1 is below 0
        tensor([[0., 0., 0.]])
    """
    for weight, bias in _layers(tensors)[:-1]:
        x = ACTIVATIONS[activation](torch.nn.functional.linear(x, weight, bias))
    return x


def last_layer(tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return weight and bias of the last layer, which gives the weights of a chunk."""
    return _layers(tensors)[-1]


def _layers(tensors: Mapping[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
    numbers = itertools.takewhile(lambda k: f"map_{k}_weight" in tensors, itertools.count())
    return [(tensors[f"map_{k}_weight"], tensors[f"map_{k}_bias"]) for k in numbers]
