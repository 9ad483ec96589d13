"""Jacobians ∂Δy/∂x of an update at many tokens, in one common low-rank basis.

    J_t ≈ P · C_t · Q        P (out × p), Q (q × in) the same for all tokens, C_t (p × q)

No J_t is ever stored. Random probing finds P and Q, and vector-Jacobian products the rest
(plain autograd, which the fast circuit engine supports). The part outside the basis is
estimated and reported.
"""

import dataclasses
import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.analysis.updates.sketch import FIRST_RANK, PROBES
from qtha_lab.analysis.updates.spectrum import THRESHOLD, Spectrum
from qtha_lab.analysis.updates.update import Delta
from qtha_lab.core.errors import Refusal

OVERSAMPLE = 8
STEP = 1e-4  # relative to the input's length, for the differences that find P (and nothing else)


@dataclasses.dataclass(frozen=True)
class Jacobians:
    """Jacobians of an update at some tokens.

    A Jacobian is local: far from x the change may differ.

    Attributes:
        missing: Estimated Frobenius norm of the part outside the basis, over all tokens.
    """

    left: Float[Tensor, "out_features p"]
    cores: Float[Tensor, "tokens p q"]
    right: Float[Tensor, "q in_features"]
    missing: float

    @property
    def norm(self) -> float:
        """Frobenius norm of all Jacobians together."""
        return math.hypot(float(self.cores.norm()), self.missing)

    @property
    def mean(self) -> Float[Tensor, "out_features in_features"]:
        """Mean Jacobian as a stored matrix."""
        return self.left @ self.cores.mean(0) @ self.right

    def mean_spectrum(self) -> Spectrum:
        """Compute the singular values of the mean Jacobian.

        The mean is the best single matrix for small changes of x. It does not show parts that
        average out: Jacobians of opposite sign cancel. Compare `token_dependence`.
        """
        missing = self.missing / math.sqrt(len(self.cores))
        return self._spectrum(self.cores.mean(0), (len(self.left), self.right.shape[1]), missing)

    def stacked_spectrum(self, by: str = "rows") -> Spectrum:
        """Compute the singular values of all Jacobians, stacked by "rows" or "columns".

        By rows, the rank counts the input directions with an effect at any token. By columns, it
        counts the output directions reached at any token. It grows as √tokens. It does not show the
        number of directions at one token.

        Raises:
            Refusal: If `by` is neither "rows" nor "columns".
        """
        if by not in ("rows", "columns"):
            raise Refusal(f"by must be 'rows' or 'columns', got {by!r}.")
        tokens, p, q = self.cores.shape
        outs, ins = len(self.left), self.right.shape[1]
        if by == "rows":
            return self._spectrum(self.cores.reshape(-1, q), (tokens * outs, ins), self.missing)
        side = self.cores.permute(1, 0, 2).reshape(p, -1)
        return self._spectrum(side, (outs, tokens * ins), self.missing)

    @property
    def token_dependence(self) -> float:
        """Share of Σ‖J_t‖² outside the mean Jacobian: 0 for a linear update, at most 1.

        Does not show whether the dependence is useful, nor its distribution over tokens.
        """
        whole = float(self.cores.square().sum())
        if whole == 0:
            return 0.0
        return float((self.cores - self.cores.mean(0)).square().sum()) / whole

    def _spectrum(self, matrix: Tensor, shape: tuple[int, int], missing: float) -> Spectrum:
        values = torch.linalg.svdvals(matrix).numpy()
        return Spectrum(values, shape, math.hypot(float(np.linalg.norm(values)), missing), missing)


def jacobians_of(
    delta: Delta,
    x: Float[Tensor, "tokens in_features"],
    *,
    max_rank: int = 128,
    tolerance: float = THRESHOLD,
    seed: int = 0,
) -> Jacobians:
    """Compute the Jacobians of an update at tokens x, in a growing basis.

    The basis grows until the missing part is small. Time is about (2 p + q) backward passes over
    the tokens. Memory is tokens · p · q numbers plus that of one forward pass.

    Args:
        delta: The update, which acts on each token separately.
        x: Tokens, in float64.
        max_rank: Largest p and q.
        tolerance: Stop when the missing part is below this share of the Frobenius norm.
        seed: Seed of the probing; the global random state is not changed.

    Raises:
        Refusal: If max_rank is below 1.

    Example:
        >>> W = torch.diag(torch.tensor([2.0, 1.0, 0.0], dtype=torch.float64))
        >>> gradients = jacobians_of(lambda x: x @ W.mT, torch.randn(7, 3, dtype=torch.float64))
        >>> gradients.mean_spectrum().values.round(6), round(gradients.token_dependence, 6)
        (array([2., 1., 0.]), 0.0)
    """
    if max_rank < 1:
        raise Refusal(f"max_rank must be at least 1, got {max_rank}.")
    point = x.detach().double().requires_grad_()
    with torch.enable_grad():
        value = delta(point)
    random = torch.Generator().manual_seed(seed)
    limit = min(max_rank, max(x.shape[1], value.shape[1]))
    size = min(FIRST_RANK, limit)
    while True:
        jacobians = _in_frame(delta, point, value, size, random)
        if size >= limit or jacobians.missing <= tolerance * jacobians.norm:
            return jacobians
        size = min(2 * size, limit)


def _in_frame(delta: Delta, point: Tensor, value: Tensor, size: int, random) -> Jacobians:
    """Compute a basis of about this size, the Jacobians in it, and the missing part."""
    left = _left_frame(delta, point, value.shape[1], size + OVERSAMPLE, random)
    right = _right_frame(point, value, size + OVERSAMPLE, random)
    cores = torch.empty(len(point), left.shape[1], len(right), dtype=torch.float64)
    loss = 0.0
    for column, direction in enumerate(left.mT):
        gradients = _pull_back(point, value, direction.expand_as(value))
        cores[:, column] = gradients @ right.mT
        loss += max(float(gradients.square().sum() - cores[:, column].square().sum()), 0.0)
    return Jacobians(left, cores, right, math.sqrt(loss + _left_out(point, value, left, random)))


def _pull_back(point: Tensor, value: Tensor, cotangent: Tensor) -> Float[Tensor, "tokens in"]:
    """Compute J_tᵀ · c_t for every token."""
    if not value.requires_grad:
        return torch.zeros_like(point)
    return torch.autograd.grad(value, point, cotangent, retain_graph=True)[0]


def _right_frame(point: Tensor, value: Tensor, size: int, random) -> Float[Tensor, "q in"]:
    """Return orthonormal rows spanning Σ_t J_tᵀ y_t for random y."""
    ins = point.shape[1]
    if size >= ins:
        return torch.eye(ins, dtype=torch.float64)
    columns = [_pull_back(point, value, _gaussian(value.shape, random)).sum(0) for _ in range(size)]
    return torch.linalg.qr(torch.stack(columns, dim=1)).Q.mT


def _left_frame(delta: Delta, point: Tensor, outs: int, size: int, random) -> Float[Tensor, "o p"]:
    """Return orthonormal columns spanning Σ_t J_t v_t for random v.

    The products use central differences.
    """
    if size >= outs:
        return torch.eye(outs, dtype=torch.float64)
    columns = []
    with torch.no_grad():
        for _ in range(size):
            move = _gaussian(point.shape, random)
            move *= STEP * point.norm(dim=1, keepdim=True) / move.norm(dim=1, keepdim=True)
            columns.append((delta(point + move) - delta(point - move)).sum(0))
    return torch.linalg.qr(torch.stack(columns, dim=1)).Q


def _left_out(point: Tensor, value: Tensor, left: Tensor, random) -> float:
    """Estimate Σ_t ‖(I - PPᵀ) J_t‖² without bias, from random directions outside P."""
    outs = value.shape[1]
    if left.shape[1] >= outs:
        return 0.0
    probes = _gaussian((outs, PROBES), random)
    probes -= left @ (left.mT @ probes)
    squares = [
        float(_pull_back(point, value, probe.expand_as(value)).square().sum())
        for probe in probes.mT
    ]
    return sum(squares) / PROBES


def _gaussian(shape: tuple[int, ...], random: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=random, dtype=torch.float64)
