"""The slopes ∂Δy/∂x of an update at many tokens, all in one small frame.

    J_t ≈ P · C_t · Q        P (out × p), Q (q × in) the same for all tokens, C_t (p × q)

No J_t is ever stored. P and Q are found by random probing, everything else by vector-Jacobian
products (plain autograd, so that the quick circuit engine serves); what the frame misses is
measured and stated.
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
STEP = 1e-4  # of the input's length, for the differences that find P (and nothing else)


@dataclasses.dataclass(frozen=True)
class Jacobians:
    """The Jacobians of an update at some tokens.

    Does not show how far a slope reaches: far from x the change may be another.

    Attributes:
        missing: Frobenius norm of what lies outside the frame, all tokens together, estimated.
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
        """The mean Jacobian, as a stored matrix."""
        return self.left @ self.cores.mean(0) @ self.right

    def mean_spectrum(self) -> Spectrum:
        """Singular values of the mean Jacobian: the best single matrix for small moves of x.

        Does not show what averages out: slopes of opposite sign cancel. Compare `token_dependence`.
        """
        missing = self.missing / math.sqrt(len(self.cores))
        return self._spectrum(self.cores.mean(0), (len(self.left), self.right.shape[1]), missing)

    def mean_svd(self) -> tuple[Tensor, Tensor, Tensor]:
        """Singular vectors and values of the mean Jacobian, largest first."""
        u, values, vh = torch.linalg.svd(self.cores.mean(0), full_matrices=False)
        return self.left @ u, values, vh @ self.right

    def stacked_spectrum(self, by: str = "rows") -> Spectrum:
        """Singular values of all Jacobians, stacked by "rows" or side by side ("columns").

        By rows its rank counts the input directions that matter anywhere, by columns the output
        directions that are reached anywhere. It grows as √tokens. Does not show how many directions
        are at work at one token.

        Raises:
            Refusal: If `by` is neither.
        """
        if by not in ("rows", "columns"):
            raise Refusal(f"by must be 'rows' or 'columns', not {by!r}")
        tokens, p, q = self.cores.shape
        outs, ins = len(self.left), self.right.shape[1]
        if by == "rows":
            return self._spectrum(self.cores.reshape(-1, q), (tokens * outs, ins), self.missing)
        side = self.cores.permute(1, 0, 2).reshape(p, -1)
        return self._spectrum(side, (outs, tokens * ins), self.missing)

    @property
    def token_dependence(self) -> float:
        """Share of Σ‖J_t‖² that is not the mean Jacobian: 0 for a linear update, at most 1.

        Does not show whether the dependence is of use, nor how it is spread over tokens.
        """
        whole = float(self.cores.square().sum())
        if whole == 0:
            return 0.0
        return float((self.cores - self.cores.mean(0)).square().sum()) / whole

    @property
    def relative_spread(self) -> float:
        """Root mean square of ‖J_t - J̄‖_F over ‖J̄‖_F; infinite where the mean is zero."""
        share = self.token_dependence
        return math.sqrt(share / (1 - share)) if share < 1 else math.inf

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
    """The Jacobians of an update at the tokens x, in a frame that grows until little is missing.

    Time is some (2 p + q) backward passes over the tokens; memory tokens · p · q numbers and as
    much as one forward pass keeps.

    Args:
        delta: The update, of each token alone.
        x: Where; float64.
        max_rank: Largest p and q.
        tolerance: Stop when what is missing is below this share of the Frobenius norm.
        seed: Of the probing; the global random state is left alone.

    Raises:
        Refusal: If max_rank is below 1.

    Example:
        >>> W = torch.diag(torch.tensor([2.0, 1.0, 0.0], dtype=torch.float64))
        >>> gradients = jacobians_of(lambda x: x @ W.mT, torch.randn(7, 3, dtype=torch.float64))
        >>> gradients.mean_spectrum().values.round(6), round(gradients.token_dependence, 6)
        (array([2., 1., 0.]), 0.0)
    """
    if max_rank < 1:
        raise Refusal(f"max_rank must be at least 1, not {max_rank}")
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
    """Find a frame of about this size, the Jacobians in it, and what it misses."""
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
    """J_tᵀ · c_t for every token."""
    if not value.requires_grad:
        return torch.zeros_like(point)
    return torch.autograd.grad(value, point, cotangent, retain_graph=True)[0]


def _right_frame(point: Tensor, value: Tensor, size: int, random) -> Float[Tensor, "q in"]:
    """Orthonormal rows spanning Σ_t J_tᵀ y_t for random y."""
    ins = point.shape[1]
    if size >= ins:
        return torch.eye(ins, dtype=torch.float64)
    columns = [_pull_back(point, value, _gaussian(value.shape, random)).sum(0) for _ in range(size)]
    return torch.linalg.qr(torch.stack(columns, dim=1)).Q.mT


def _left_frame(delta: Delta, point: Tensor, outs: int, size: int, random) -> Float[Tensor, "o p"]:
    """Orthonormal columns spanning Σ_t J_t v_t for random v, by central differences."""
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
    """Σ_t ‖(I - PPᵀ) J_t‖², estimated without bias from random directions outside P."""
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
