"""Matrix product state that maps a basis state and its value to weights.

    w_i = ℓ(b_1) M_2(b_2) … M_N(b_N) · (C_0 + p̃_i C_1)

Each qubit has a tensor with two matrices, selected by the bit. The last tensor contracts the value
as (1, p̃) and has a leg for the weights of a chunk. The products of all 2^N states are computed
together, with each prefix computed once.

Source:
    Quantum-Train with MPS mapping, arXiv:2409.06992. The MPS in place of the network is published;
    the feature maps and the position of the output leg are ours [R].
"""

import itertools
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.adapters.change import TensorSpec


def tensors_of(n_qubits: int, bond_dim: int, chunk: int) -> dict[str, TensorSpec]:
    """Return shapes of the qubit cores (2, left, right) and of the last core.

    The last core is a matrix (chunk, 2 · bond).

    Args:
        n_qubits: Number of cores before the last.
        bond_dim: Bond dimension χ of every bond but the first, which is 1.
        chunk: Number of weights per basis state.

    Example:
        >>> {name: spec.shape for name, spec in tensors_of(2, 3, 5).items()}
        {'core_0': (2, 1, 3), 'core_1': (2, 3, 3), 'core_last': (5, 6)}
    """
    lefts = [1] + [bond_dim] * (n_qubits - 1)
    cores = {f"core_{k}": TensorSpec((2, left, bond_dim)) for k, left in enumerate(lefts)}
    return cores | {"core_last": TensorSpec((chunk, 2 * bond_dim))}


def n_core_entries(n_qubits: int, bond_dim: int, chunk: int) -> int:
    """Count 2 χ + 2 (N − 1) χ² + 2 χ c core entries.

    Args:
        n_qubits: N, number of cores before the last.
        bond_dim: Bond dimension χ.
        chunk: c, number of weights per basis state.

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
