"""Real matrix product states whose squared amplitudes are probabilities, as flat tensors.

A classical control of a circuit. `mps_to_gates` converts a trained state to gates.
"""

import itertools
import math

from jaxtyping import Float
from torch import Tensor


def shapes(n_qubits: int, bond_dim: int) -> list[tuple[int, int, int]]:
    """Return (left bond, 2, right bond) of every core.

    A bond is at most the dimension of the smaller side.

    Example:
        >>> shapes(3, 8)
        [(1, 2, 2), (2, 2, 2), (2, 2, 1)]
    """
    bonds = [min(bond_dim, 2**k, 2 ** (n_qubits - k)) for k in range(n_qubits + 1)]
    return [(left, 2, right) for left, right in itertools.pairwise(bonds)]


def n_numbers(n_qubits: int, bond_dim: int) -> int:
    """Count the entries of all cores."""
    return sum(map(math.prod, shapes(n_qubits, bond_dim)))


def amplitudes(
    numbers: Float[Tensor, "n_numbers"], n_qubits: int, bond_dim: int
) -> Float[Tensor, "states"]:
    """Compute the amplitudes of norm 1, with wire 0 as most significant bit.

    Args:
        numbers: Entries of all cores, one core after another.
        n_qubits: Number of cores.
        bond_dim: Largest bond dimension.

    Example:
        >>> import torch
        >>> amplitudes(torch.tensor([3.0, 4.0]), 1, 1)
        tensor([0.6000, 0.8000])
    """
    sizes = shapes(n_qubits, bond_dim)
    parts = numbers.split([math.prod(size) for size in sizes])
    state = numbers.new_ones(1, 1)
    for part, (left, _, right) in zip(parts, sizes, strict=True):
        state = (state @ part.reshape(left, 2 * right)).reshape(-1, right)
    state = state.flatten()
    return state / state.norm()
