"""Regression of a planted update: a circuit, a tensor network, a non-linearity or a rank.

A teacher makes targets from random inputs, so the part that a student needs is known. A comparison
that does not find it there cannot deny it elsewhere. No base model takes part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.circuits import ansatze
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators import expval_z
from qtha_lab.tensor_networks import mpo
from qtha_lab.tensor_networks.factors import factorise

SIZE = 64  # inputs and outputs
R = 4  # bottleneck of the teachers with a circuit or a non-linearity
BOND_DIM = 2  # of the planted tensor network
RANK = 16  # of the planted matrix
NOISE = 0.1  # standard deviation of the noise on targets of unit mean square
Rows = Float[Tensor, "rows features"]
Update = Callable[[Rows], Rows]


class PlantedRows(NamedTuple):
    """Inputs of unit variance and noisy targets, (rows, 64) each."""

    inputs: Rows
    targets: Rows


def planted_rows(kind: str, counts: Sequence[int], seed: int) -> list[PlantedRows]:
    """Draw several sets of rows of one random teacher, whose targets have unit mean square.

    Raises:
        Refusal: If the kind is unknown, or a count is below 1.

    Example:
        >>> train, test = planted_rows("rank", (200, 50), seed=0)
        >>> train.targets.shape, round(test.targets.square().mean().item(), 1)
        (torch.Size([200, 64]), 1.0)
    """
    if kind not in TEACHERS:
        raise Refusal(f"kind must be one of {', '.join(TEACHERS)}, got {kind!r}.")
    if not counts or min(counts) < 1:
        raise Refusal(f"counts must be at least 1, got {tuple(counts)}.")
    random = torch.Generator().manual_seed(seed)
    update = TEACHERS[kind](random)
    scale = update(_normal(random, 4096, SIZE)).square().mean().rsqrt()
    sets = []
    for count in counts:
        inputs = _normal(random, count, SIZE)
        noise = NOISE * _normal(random, count, SIZE)
        sets.append(PlantedRows(inputs, scale * update(inputs) + noise))
    return sets


def trigonometric_features(h: Float[Tensor, "rows r"]) -> Float[Tensor, "rows features"]:
    """Return the 3^r products of 1, cos h_i or sin h_i per number.

    Every expectation of a circuit that encodes each h_i by one rotation is a linear function of
    them.

    Example:
        >>> trigonometric_features(torch.zeros(1, 2))
        tensor([[1., 1., 0., 1., 1., 0., 0., 0., 0.]])

    Source:
        Schuld, Sweke and Meyer 2021, Physical Review A 103, 032430.
    """
    parts = [torch.stack([torch.ones_like(c), c.cos(), c.sin()], -1) for c in h.unbind(-1)]
    features = parts[0]
    for part in parts[1:]:
        features = (features.unsqueeze(-1) * part.unsqueeze(-2)).flatten(-2)
    return features


def _circuit(random: torch.Generator) -> Update:
    """Plant B W_q ⟨Z⟩(A x) of the published circuit at random angles, with one layer."""
    circuit = ansatze.build("qtha", R, 1, True)
    angles = math.pi * (2 * torch.rand(circuit.n_params, generator=random) - 1)
    return _between(random, lambda h: expval_z(circuit, h, angles))


def _nonlinearity(random: torch.Generator) -> Update:
    """Plant B W₂ tanh(2 W₁ A x) with random square W₁ and W₂."""
    inner = _orthogonal(random, R, R)
    return _between(random, lambda h: torch.tanh(2 * h @ inner.mT))


def _between(random: torch.Generator, middle: Update) -> Update:
    """Multiply a map by random orthonormal A and B, after a random square matrix."""
    first, last = _orthogonal(random, SIZE, R), _orthogonal(random, SIZE, R)
    mixing = _normal(random, R, R)
    return lambda x: middle(x @ first) @ mixing.mT @ last.mT


def _tensor_network(random: torch.Generator) -> Update:
    """Plant a matrix product operator of bond dimension 2, whose matrix has full rank."""
    shape = network_shape(BOND_DIM)
    cores = [_normal(random, *core) for core in shape.core_shapes]
    matrix = mpo.dense(cores, shape)
    return lambda x: x @ matrix.mT


def network_shape(bond_dim: int) -> mpo.MpoShape:
    """Return the shape of an operator of three sites on 64 numbers."""
    dims = factorise(SIZE, 3, None)
    return mpo.MpoShape(dims, dims, (1, bond_dim, bond_dim, 1))


def _rank(random: torch.Generator) -> Update:
    """Plant a matrix with sixteen equal singular values."""
    matrix = _orthogonal(random, SIZE, RANK) @ _orthogonal(random, SIZE, RANK).mT
    return lambda x: x @ matrix.mT


TEACHERS: dict[str, Callable[[torch.Generator], Update]] = {
    "circuit": _circuit,
    "tensor_network": _tensor_network,
    "nonlinearity": _nonlinearity,
    "rank": _rank,
}


def _normal(random: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=random)


def _orthogonal(random: torch.Generator, rows: int, columns: int) -> Tensor:
    return torch.linalg.qr(_normal(random, rows, columns)).Q
