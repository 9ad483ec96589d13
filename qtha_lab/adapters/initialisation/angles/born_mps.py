"""A matrix product state of real numbers whose squared amplitudes are probabilities, from one flat tensor.

Trains by itself as a classical stand-in for a circuit; `mps_to_gates` turns what it has learnt into
gates.
"""

import itertools
import math

from jaxtyping import Float
from torch import Tensor


def shapes(n_qubits: int, bond_dim: int) -> list[tuple[int, int, int]]:
    """(left bond, 2, right bond) of every core; a bond is never larger than what is on its smaller side.

    Example:
        >>> shapes(3, 8)
        [(1, 2, 2), (2, 2, 2), (2, 2, 1)]
    """
    bonds = [min(bond_dim, 2**k, 2 ** (n_qubits - k)) for k in range(n_qubits + 1)]
    return [(left, 2, right) for left, right in itertools.pairwise(bonds)]


def n_numbers(n_qubits: int, bond_dim: int) -> int:
    """Numbers in all cores."""
    return sum(map(math.prod, shapes(n_qubits, bond_dim)))


def amplitudes(
    numbers: Float[Tensor, "n_numbers"], n_qubits: int, bond_dim: int
) -> Float[Tensor, "states"]:
    """The amplitudes, of norm 1, wire 0 the most significant bit.

    Args:
        numbers: Entries of all cores, one core after another.
        n_qubits: Cores.
        bond_dim: Largest bond.

    Example:
        >>> import torch
        >>> amplitudes(torch.tensor([3.0, 4.0]), 1, 1)
        tensor([0.6000, 0.8000])
    """
    sizes = shapes(n_qubits, bond_dim)
    pieces = numbers.split([math.prod(size) for size in sizes])
    state = numbers.new_ones(1, 1)
    for piece, (left, _, right) in zip(pieces, sizes, strict=True):
        state = (state @ piece.reshape(left, 2 * right)).reshape(-1, right)
    state = state.flatten()
    return state / state.norm()
