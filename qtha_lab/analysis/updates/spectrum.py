"""Singular values and their summary numbers, with four different ranks.

Takes a matrix, a product of factors, or rows in blocks, from any source (a weight, an update,
activations). `sketch` handles large operators.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.core.errors import Refusal

# In float32, a value below this share of the largest singular value is rounding noise.
THRESHOLD = 1e-5


@dataclasses.dataclass(frozen=True)
class Spectrum:
    """Singular values of a matrix, largest first, and its Frobenius norm.

    Does not show directions: two matrices with equal spectra may have nothing in common.

    Attributes:
        values: Computed singular values; all of them where `missing` is 0.
        shape: Shape of the matrix.
        norm: Frobenius norm of the whole matrix.
        missing: Estimated Frobenius norm of the part without `values`.

    Example:
        >>> two = spectrum_of(torch.diag(torch.tensor([3.0, 3.0, 0.0])))
        >>> round(two.effective_rank, 6), round(two.stable_rank, 6), two.numerical_rank()
        (2.0, 2.0, 2)
    """

    values: Float[np.ndarray, " kept"]
    shape: tuple[int, int]
    norm: float
    missing: float = 0.0

    @property
    def exact(self) -> bool:
        """True if only rounding errors are missing."""
        return self.missing <= THRESHOLD * self.norm

    @property
    def energy(self) -> Float[np.ndarray, " kept"]:
        """Share of each value in the squared norm."""
        return self.values**2 / self.norm**2 if self.norm > 0 else np.zeros_like(self.values)

    @property
    def effective_rank(self) -> float:
        """Exponential of the entropy of σ / Σσ: the effective number of directions.

        A real number between 1 and the rank. Does not show which directions matter to the loss, and
        counts many tiny values more than the stable rank does. If values are missing, it is that of
        the computed part. 0 for a zero matrix.

        Source:
            Roy and Vetterli 2007, The effective rank, EUSIPCO, definition 1.
        """
        positive = self.values[self.values > 0]
        if not len(positive):
            return 0.0
        shares = positive / positive.sum()
        return float(np.exp(-(shares * np.log(shares)).sum()))

    @property
    def stable_rank(self) -> float:
        """Stable rank ‖·‖_F² / σ₁², insensitive to small values and at most the rank.

        0 for a zero matrix. Does not show the number of directions: one large value hides any
        number of others.

        Source:
            Rudelson and Vershynin 2007, J. ACM 54, 21.
        """
        return float(self.norm**2 / self.values[0] ** 2) if self.norm > 0 else 0.0

    def numerical_rank(self, threshold: float = THRESHOLD) -> int:
        """Count the values above `threshold` times the largest.

        Does not show the gap: a value just above the threshold counts as one far above.

        Raises:
            Refusal: If the threshold is not between 0 and 1.
        """
        if not 0 < threshold < 1:
            raise Refusal(f"threshold must lie between 0 and 1, got {threshold}.")
        largest = self.values[0] if len(self.values) else 0.0
        return int((self.values > threshold * largest).sum()) if largest > 0 else 0

    def energy_rank(self, share: float = 0.9) -> int | None:
        """Count the fewest values with this share of the squared norm.

        Returns None if too few values were computed. Does not show the tail: the part beyond the
        share may be rounding noise or learnt.

        Raises:
            Refusal: If the share is not above 0 and at most 1.
        """
        if not 0 < share <= 1:
            raise Refusal(f"share must be above 0 and at most 1, got {share}.")
        if self.norm == 0:
            return 0
        reached = np.cumsum(self.energy) >= share * (1 - 1e-12)
        return int(reached.argmax()) + 1 if reached.any() else None

    def scaled(self, factor: float) -> Spectrum:
        """Return the spectrum of the matrix times a number."""
        size = abs(factor)
        return Spectrum(self.values * size, self.shape, self.norm * size, self.missing * size)

    def summary(self, threshold: float = THRESHOLD, share: float = 0.9) -> dict:
        """Return the norm and the ranks as plain data, for tables and JSON.

        Args:
            threshold: Threshold of the numerical rank, as a fraction of the largest value.
            share: Share of the squared norm for `energy_rank`.

        Returns:
            `norm`, `effective_rank`, `stable_rank`, `numerical_rank`, `energy_rank` and `missing`.
        """
        return {
            "norm": self.norm,
            "effective_rank": self.effective_rank,
            "stable_rank": self.stable_rank,
            "numerical_rank": self.numerical_rank(threshold),
            "energy_rank": self.energy_rank(share),
            "missing": self.missing,
        }


def spectrum_of(matrix: Float[Tensor, "rows cols"] | np.ndarray) -> Spectrum:
    """Compute all singular values of a matrix, in float64.

    The time grows with rows · cols · min(rows, cols). `sketch.randomised_svd` is for large
    matrices.

    Example:
        >>> spectrum_of(np.ones((2, 8))).values.round(6)
        array([4., 0.])
    """
    matrix = as_matrix(matrix)
    values = torch.linalg.svdvals(matrix).numpy()
    return Spectrum(values, (matrix.shape[0], matrix.shape[1]), float(np.linalg.norm(values)))


def factored_spectrum(*factors: Float[Tensor, "rows cols"]) -> Spectrum:
    """Compute all singular values of a product without forming it.

    Values beyond the inner size are zero. The triangles of the QR decompositions replace the outer
    factors, which preserves the singular values. Only a matrix of the inner sizes is decomposed.

    Example:
        >>> up, down = torch.ones(1000, 1), torch.ones(1, 2000)
        >>> factored_spectrum(up, down).values.round(3)  # √1000 · √2000
        array([1414.214])
    """
    core, shape = _core(factors)
    values = torch.linalg.svdvals(core).numpy()
    return Spectrum(values, shape, float(np.linalg.norm(values)))


def _core(factors: tuple) -> tuple[Float[Tensor, "k k"], tuple[int, int]]:
    """Return the product of first triangle, middle factors and last triangle, and the shape."""
    if len(factors) < 2:
        raise Refusal(f"A product must have at least 2 factors, got {len(factors)}.")
    first, *middle, last = [as_matrix(factor) for factor in factors]
    core = torch.linalg.qr(first, mode="r").R
    for factor in middle:
        core = core @ factor
    return core @ torch.linalg.qr(last.mT, mode="r").R.mT, (first.shape[0], last.shape[1])


def streamed_spectrum(blocks: Iterable[Float[Tensor, "some cols"]]) -> Spectrum:
    """Compute all singular values of a tall matrix whose rows arrive in blocks.

    Each block is merged into a triangle of at most cols × cols, the only stored data. Unlike sums
    of squares (a Gram matrix), this loses no digits of small singular values.

    Raises:
        Refusal: If there is no block, or one is empty, not a matrix or not finite.

    Example:
        >>> rows = torch.arange(12.0).reshape(6, 2)
        >>> whole, parts = spectrum_of(rows), streamed_spectrum(rows.split(2))
        >>> bool(np.allclose(whole.values, parts.values)), parts.shape
        (True, (6, 2))
    """
    rows, triangle = 0, None
    for block in blocks:
        block = as_matrix(block)
        rows += len(block)
        stacked = block if triangle is None else torch.cat([triangle, block])
        triangle = torch.linalg.qr(stacked, mode="r").R
    if triangle is None:
        raise Refusal("The product has no blocks of rows.")
    values = torch.linalg.svdvals(triangle).numpy()
    return Spectrum(values, (rows, triangle.shape[1]), float(np.linalg.norm(values)))


def as_matrix(matrix) -> Float[Tensor, "rows cols"]:
    """Convert to a finite float64 matrix on the CPU.

    Raises:
        Refusal: If the shape is not two sizes of at least 1, or a value is not finite.
    """
    tensor = torch.as_tensor(matrix).detach().to("cpu", torch.float64)
    if tensor.dim() != 2 or 0 in tensor.shape:
        raise Refusal(
            f"A matrix must have two sizes of at least 1, got shape {tuple(tensor.shape)}."
        )
    if not torch.isfinite(tensor).all():
        raise Refusal("A matrix must be finite, got infinite or NaN values.")
    return tensor


class RunWithSpectra(Protocol):
    """Run with recorded events, such as `qtha_lab.launch` returns."""

    def valid_events(self) -> Iterable[Mapping[str, Any]]:
        """Return the recorded events."""
        ...


def spectrum(run: RunWithSpectra) -> dict[str, Spectrum]:
    """Return the last recorded singular values of a run's weight update, by layer.

    Only the linear path is recorded; `shape` counts the recorded values.

    Raises:
        Refusal: If the run has recorded none.

    Example:
        >>> run = qtha_lab.list_runs()[0]  # doctest: +SKIP
        >>> spectrum(run)["model.layers.0.self_attn.q_proj"].effective_rank  # doctest: +SKIP
        1.7
    """
    records = [event for event in run.valid_events() if event["kind"] == "spectrum"]
    if not records:
        raise Refusal(
            "The run has no recorded singular values. spectrum_every above 0 records them."
        )
    layers = {name: _values(of) for name, of in records[-1].get("layers", {}).items()}
    return {
        name: Spectrum(values, (len(values), len(values)), float(np.linalg.norm(values)))
        for name, values in layers.items()
    }


def _values(record: Any) -> np.ndarray:
    values = record["singular_values"] if isinstance(record, Mapping) else record
    return np.sort(np.array([value or 0.0 for value in values]))[::-1]
