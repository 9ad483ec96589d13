"""Pooled claims: one question over several models and tasks, as a random-effects meta-analysis.

Each claim of one (model, task) pair is one study. Reads no run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qtha_lab.studies.comparison.paired import MARGIN, Verdict

Record = Mapping[str, Any]
LEAST_PAIRS = 2
LEAST_OF_AN_INTERVAL = 4  # fewer pairs leave too few degrees of freedom for τ


@dataclass(frozen=True)
class PooledDifference:
    """Mean difference over (model, task) pairs with its interval and heterogeneity.

    Attributes:
        first: Name of the method whose loss comes first.
        second: Name of the method whose loss is subtracted.
        mean: Mean difference over all pairs.
        low: Lower end of the interval; None for fewer than four pairs.
        high: Upper end of the interval; None for fewer than four pairs.
        half_one_sided: Half-width at twice the error probability, for equivalence.
        level: Error probability of the interval, divided by the number of pooled claims.
        pairs: Number of (model, task) pairs.
        spread: Standard deviation of the true difference between pairs (τ).
        heterogeneity: Share of the variation that is due to differences between pairs (I²).
        margin: Largest difference that counts as equivalent.
        lost: Number of runs of the claims without a result; above 0 nothing is shown.
    """

    first: str
    second: str
    mean: float
    low: float | None
    high: float | None
    half_one_sided: float
    level: float
    pairs: int
    spread: float
    heterogeneity: float
    margin: float = MARGIN
    lost: int = 0

    @property
    def verdict(self) -> Verdict:
        """Verdict: shown, equivalent within the margin, or inconclusive."""
        if self.lost or self.low is None or self.high is None:
            return "inconclusive"
        if not self.low <= 0 <= self.high:
            return "shown"
        within = abs(self.mean) + self.half_one_sided <= self.margin
        return "equivalent" if within else "inconclusive"

    @property
    def sentence(self) -> str:
        """Pooled claim as a sentence with its verdict."""
        words = {"equivalent": f"equivalent within ±{self.margin:g}"}.get(
            self.verdict, self.verdict
        )
        share = f"{100 * (1 - self.level):.3g} %"
        interval = f"no interval from fewer than {LEAST_OF_AN_INTERVAL} pairs"
        if self.low is not None:
            interval = f"{share} interval [{self.low:+.3f}, {self.high:+.3f}]"
        return (
            f"{self.first} − {self.second}, pooled over {self.pairs} pairs of model and task: "
            f"{self.mean:+.3f} nat, {interval}, τ = {self.spread:.3f}, "
            f"I² = {self.heterogeneity:.0%}: {words}."
        )

    def plain(self) -> dict[str, Any]:
        """Return the pooled claim as plain data for JSON."""
        return vars(self) | {"verdict": self.verdict, "sentence": self.sentence}


def pool(
    first: str, second: str, claims: Sequence[Record], *, pooled: int = 1, margin: float = MARGIN
) -> PooledDifference:
    """Pool at least two claims on different (model, task) pairs (see `claims.Claim.plain`).

    The intervals of all `pooled` claims hold simultaneously with 95 %.

    Example:
        >>> errors = {"seed_error": 0.004, "row_error": 0.003}
        >>> claims = [{"mean": mean} | errors for mean in (0.001, -0.003)]
        >>> pool("qtha", "no circuit", claims).pairs
        2

    Source:
        DerSimonian and Laird 1986, Controlled Clinical Trials 7, 177-188; interval by Hartung and
        Knapp 2001, Statistics in Medicine 20, 3875-3889, never narrower than with known variances.
    """
    from scipy import stats  # not where a page is opened

    means = np.array([claim["mean"] for claim in claims])
    variances = np.array([claim["seed_error"] ** 2 + claim["row_error"] ** 2 for claim in claims])
    variances = np.maximum(variances, 1e-12)
    spread = _between_variance(means, variances)
    weights = 1 / (variances + spread)
    mean = float(weights @ means / weights.sum())
    excess = float(weights @ (means - mean) ** 2 / (len(means) - 1))
    error = math.sqrt(max(1.0, excess) / weights.sum())
    level, freedom = 0.05 / pooled, len(means) - 1
    half, one_sided = (error * -float(stats.t.ppf(p, freedom)) for p in (level / 2, level))
    low, high = (mean - half, mean + half) if len(means) >= LEAST_OF_AN_INTERVAL else (None, None)
    return PooledDifference(
        first, second, mean, low, high, one_sided, level, len(means),
        math.sqrt(spread), _heterogeneity(means, variances), margin,
        sum(claim.get("lost", 0) for claim in claims),
    )  # fmt: skip


def pool_by_method(
    claims: Mapping[tuple[str, Any], Record], reference: str, margin: float = MARGIN
) -> list[PooledDifference]:
    """Pool the claims of each method with claims on at least two (model, task) pairs."""
    by_method: dict[str, list[Record]] = {}
    for (method, _), claim in claims.items():
        by_method.setdefault(method, []).append(claim)
    several = {name: of for name, of in by_method.items() if len(of) >= LEAST_PAIRS}
    return [
        pool(name, reference, of, pooled=len(several), margin=margin)
        for name, of in several.items()
    ]


def _between_variance(means: np.ndarray, variances: np.ndarray) -> float:
    """Estimate the variance of the true difference between pairs (τ²)."""
    weights = 1 / variances
    excess = _q(means, variances) - (len(means) - 1)
    return max(0.0, excess / (weights.sum() - (weights**2).sum() / weights.sum()))


def _heterogeneity(means: np.ndarray, variances: np.ndarray) -> float:
    """Return I² of Higgins and Thompson 2002."""
    q = _q(means, variances)
    return max(0.0, 1 - (len(means) - 1) / q) if q else 0.0


def _q(means: np.ndarray, variances: np.ndarray) -> float:
    """Return Cochran's Q."""
    weights = 1 / variances
    return float(weights @ (means - weights @ means / weights.sum()) ** 2)
