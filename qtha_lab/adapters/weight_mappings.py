"""Maps from a basis state and its value to a chunk of weights."""

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


def mlp_tensors(sizes: Sequence[int]) -> dict[str, TensorSpec]:
    """Return names and shapes of weights and biases for these layer sizes.

    Example:
        >>> {name: spec.shape for name, spec in mlp_tensors((3, 2)).items()}
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
        >>> specs = mlp_tensors((2, 3, 1))
        >>> tensors = {name: torch.ones(spec.shape) for name, spec in specs.items()}
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


def mps_tensors(n_qubits: int, bond_dim: int, chunk: int) -> dict[str, TensorSpec]:
    """Return shapes of the qubit cores (2, left, right) and of the last core.

    The last core is a matrix (chunk, 2 · bond).

    Example:
        >>> {name: spec.shape for name, spec in mps_tensors(2, 3, 5).items()}
        {'core_0': (2, 1, 3), 'core_1': (2, 3, 3), 'core_last': (5, 6)}
    """
    lefts = [1] + [bond_dim] * (n_qubits - 1)
    cores = {f"core_{k}": TensorSpec((2, left, bond_dim)) for k, left in enumerate(lefts)}
    return cores | {"core_last": TensorSpec((chunk, 2 * bond_dim))}


def n_core_entries(n_qubits: int, bond_dim: int, chunk: int) -> int:
    """Count 2 χ + 2 (N − 1) χ² + 2 χ c core entries.

    Example:
        >>> n_core_entries(2, 3, 5)  # 6 + 18 + 30
        54
    """
    return 2 * bond_dim + 2 * (n_qubits - 1) * bond_dim**2 + 2 * bond_dim * chunk


def initialise_cores(tensors: Mapping[str, Tensor], last_zero: bool = False) -> None:
    """Fill with numbers of variance 1 / bond, so that products keep their size [R]."""
    for name, tensor in tensors.items():
        if name.startswith("core_"):
            tensor.normal_(std=tensor.shape[1] ** -0.5)
    if last_zero:
        tensors["core_last"].zero_()


def contracted_cores(
    tensors: Mapping[str, Tensor], values: Float[Tensor, "states"]
) -> Float[Tensor, "states two_bonds"]:
    """Contract all cores but the last with (1, p̃), the input of the last core."""
    products = values.new_ones(1, 1)
    for k in itertools.takewhile(lambda k: f"core_{k}" in tensors, itertools.count()):
        core = tensors[f"core_{k}"]
        grown = torch.einsum("sl,blr->sbr", products, core)
        products = grown.reshape(-1, core.shape[-1])
    products = products[: len(values)]
    return torch.cat([products, values.unsqueeze(1) * products], 1)
