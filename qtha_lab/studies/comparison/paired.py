"""Paired differences between two methods with the same seeds and test rows.

Computes interval, p, detectable difference and verdict from arrays of losses; reads no run.
A difference is shown, equivalent within a declared margin, or inconclusive. Sentences, tables and
figures use the same verdict. Test rows of one key, such as a conversation, are one item.
statsmodels has no verdict of equivalence over seeds and keyed rows; it is an oracle of the tests.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Shaped

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.comparison import MARGIN

LEAST_SEEDS = 3
POWER = 0.8
MOST_SEEDS = 10_000
MOST_ROWS = 10_000
LEAST_LEVEL = 1e-100  # below it p is 0

Verdict = Literal["shown", "equivalent", "inconclusive"]
Neighbour = Literal["", "clear", "holds", "fails", "not run"]


@dataclass(frozen=True)
class PairedDifference:
    """Paired difference, first minus second, over seeds and rows.

    Attributes:
        mean: Mean difference.
        low: Lower end of the interval.
        high: Upper end of the interval.
        p: Least error probability of the family at which the interval excludes zero; below 0.05 if
            the interval at `level` excludes zero.
        seeds: Number of seeds.
        items: Number of independent test items: keys, or rows whose keys are not known; 1 if only
            means are known.
        spread: Standard deviation of the difference over the seeds.
        level: Error probability of the interval: 0.05, divided by the number of claims in its
            family.
        row_error: Part of the standard error due to the test rows, independent of the number of
            seeds.
        claims: Number of claims in the family.
        margin: Largest difference that counts as equivalent, declared before the runs.
        rows: Number of test rows of the keys; None if no keys are known.
        key_name: Name of one key in sentences.
        neighbour: Outcome at the neighbouring learning rates of a difference that excludes zero:
            "clear" if the choice of both rates is, "holds" or "fails", "not run"; "" if not asked.
        lost: Number of runs of both methods without a result; above 0 nothing is shown.
    """

    mean: float
    low: float
    high: float
    p: float
    seeds: int
    items: int
    spread: float
    level: float = 0.05
    row_error: float = 0.0
    claims: int = 1
    margin: float = MARGIN
    rows: int | None = None
    key_name: str = "key"
    neighbour: Neighbour = ""
    lost: int = 0

    def __repr__(self) -> str:
        """Three significant digits, as in a table: no interval is known more precisely."""
        ends = f"low={self.low:.3g}, high={self.high:.3g}"
        return f"PairedDifference(mean={self.mean:.3g}, {ends}, seeds={self.seeds})"

    @property
    def scale(self) -> str:
        """Numbers of seeds, test rows and keys in words.

        Example:
            >>> PairedDifference(
            ...     0.1, 0.0, 0.2, 1.0, 5, 28, 0.1, rows=112, key_name="conversation"
            ... ).scale
            '5 seeds and 112 rows of 28 conversations'
        """
        if self.rows is None and self.items == 1:
            return f"{self.seeds} seeds"
        if self.rows is None:
            return f"{self.seeds} seeds and {self.items:,} rows, taken as independent"
        ending = "" if self.items == 1 else "s"
        keys = f" of {self.items:,} {self.key_name}{ending}" if self.items < self.rows else ""
        return f"{self.seeds} seeds and {self.rows:,} rows{keys}"

    @property
    def verdict(self) -> Verdict:
        """Verdict: shown, equivalent within the margin, or inconclusive.

        Two one-sided intervals at the level of the family decide equivalence. A difference that is
        shown may be within the margin too. Seeds that diverged, failed or were stopped may be the
        ones with the largest losses, so a difference over the others is inconclusive.

        Source:
            Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680.
        """
        if self.excludes_zero:
            return "shown" if self.is_shown else "inconclusive"
        return "equivalent" if self.is_within_margin else "inconclusive"

    @property
    def is_within_margin(self) -> bool:
        """True if both one-sided intervals lie within the margin, with every run."""
        if self.lost:
            return False
        return abs(self.mean) + self._width(self.seeds, self.items, 2 * self.level) <= self.margin

    @property
    def seeds_to_decide(self) -> int | None:
        """Seeds with 80 % power for a verdict, if the true difference equals the mean.

        None above 10,000 seeds, or with a run without a result.
        """
        counts = range(LEAST_SEEDS, MOST_SEEDS + 1)
        place = bisect_left(counts, True, key=lambda seeds: self._is_decided(seeds, self.items))
        return counts[place] if place < len(counts) else None

    @property
    def rows_to_decide(self) -> int | None:
        """Test rows with 80 % power for a verdict at these seeds, as `seeds_to_decide`.

        None above 10,000 rows, if only means are known, or with a run without a result.
        """
        counts = range(self.items, MOST_ROWS * self.items // (self.rows or self.items) + 1)
        if self.items == 1:
            return None
        place = bisect_left(counts, True, key=lambda items: self._is_decided(self.seeds, items))
        if place == len(counts):
            return None
        return math.ceil(counts[place] * (self.rows or self.items) / self.items)

    def _is_decided(self, seeds: float, rows: int) -> bool:
        """Return True if this mean would be shown or equivalent with 80 % power."""
        gap = abs(self.mean)
        shows = self._width(seeds, rows, self.level) + self._width(seeds, rows, 2 * (1 - POWER))
        within = self._width(seeds, rows, 2 * self.level) + self._width(seeds, rows, 1 - POWER)
        return not self.lost and (shows <= gap or within <= self.margin - gap)

    def _width(self, seeds: float, rows: int, level: float) -> float:
        """Return the half-width of the interval for a number of seeds and rows."""
        by_seeds = self.seed_error * math.sqrt(self.seeds / seeds)
        by_rows = self.row_error * math.sqrt(self.items / rows)
        return float(half_width(by_seeds, by_rows, seeds, rows, level))

    @property
    def is_shown(self) -> bool:
        """True if the interval excludes zero, with every run and at neighbouring rates."""
        return not self.lost and self.excludes_zero and self.neighbour != "fails"

    @property
    def excludes_zero(self) -> bool:
        """True if the interval excludes zero."""
        return not self.low <= 0 <= self.high

    @property
    def seed_error(self) -> float:
        """Part of the standard error that decreases with the number of seeds."""
        half, of_rows = (self.high - self.low) / 2, _t(self.level, self.items) * self.row_error
        return math.sqrt(max(half**2 - of_rows**2, 0.0)) / _t(self.level, self.seeds)

    @property
    def effect_size(self) -> float:
        """Difference in units of its standard deviation over seeds (Cohen's d)."""
        return self.mean / self.spread if self.spread else math.copysign(math.inf, self.mean)

    @property
    def detectable(self) -> float:
        """Least difference shown with 80 % power, given these seeds and rows."""
        levels = self.level, 2 * (1 - POWER)  # the power level is one-sided
        return sum(self._width(self.seeds, self.items, level) for level in levels)


def paired_difference(
    first: Float[np.ndarray, "seeds ..."],
    second: Float[np.ndarray, "seeds ..."],
    *,
    keys: Shaped[np.ndarray, " rows"] | Sequence[Any] | None = None,
    weights: Float[np.ndarray, " rows"] | None = None,
    key_name: str = "key",
    claims: int = 1,
    margin: float = MARGIN,
) -> PairedDifference:
    """Compute the paired difference of two methods with its interval.

    Rows of one key are not independent: their differences are averaged before the interval.

    Raises:
        Refusal: If the shapes differ, a number is not finite, there are fewer than three seeds, or
            rows and keys differ in number.

    Example:
        >>> lora, qtha = np.array([4.10, 4.12, 4.15]), np.array([4.20, 4.21, 4.26])
        >>> paired_difference(qtha, lora).is_shown
        True

    Source:
        See `half_width`.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    if first.shape != second.shape:
        raise Refusal(
            f"Paired losses must have the same seeds and rows, got {first.shape} and"
            f" {second.shape}."
        )
    if first.shape[0] < LEAST_SEEDS:
        raise Refusal(f"Seeds of an interval must be at least {LEAST_SEEDS}, got {len(first)}.")
    gaps = (first - second).reshape(len(first), -1)
    if not np.isfinite(gaps).all():
        raise Refusal("Paired losses must be finite, got one that is not. A run diverged.")
    rows = None if keys is None else gaps.shape[1]
    gaps = per_key(gaps, keys, weights)
    seeds, items = gaps.shape
    mean, seed_error, row_error = (float(number) for number in errors(gaps))
    half = float(half_width(seed_error, row_error, seeds, items, 0.05 / claims))
    return PairedDifference(
        mean=mean,
        low=mean - half,
        high=mean + half,
        p=min(1.0, claims * _touching(mean, seed_error, row_error, seeds, items)),
        seeds=seeds,
        items=items,
        spread=float(gaps.mean(1).std(ddof=1)),
        level=0.05 / claims,
        row_error=row_error,
        claims=claims,
        margin=margin,
        rows=rows,
        key_name=key_name,
    )


def per_key(
    gaps: Float[np.ndarray, "seeds rows"],
    keys: Shaped[np.ndarray, " rows"] | Sequence[Any] | None = None,
    weights: Float[np.ndarray, " rows"] | None = None,
) -> Float[np.ndarray, "seeds keys"]:
    """Return the contributions of keys to the mean difference, which is kept.

    A mean over labels, or over rows of keys of different sizes, is a ratio. It is linearised: a
    long key counts by its deviation from the mean difference, not by its length.

    Example:
        >>> per_key(np.array([[1.0, 3.0, 5.0, 7.0]]), keys=["a", "a", "b", "b"])
        array([[2., 6.]])

    Source:
        Cochran 1977, Sampling Techniques, sections 2.11 and 9A.1 (ratio of cluster totals).
    """
    rows = gaps.shape[1]
    keys = np.arange(rows) if keys is None else np.asarray(keys)
    weights = np.ones(rows) if weights is None else np.asarray(weights, float)
    if not len(keys) == len(weights) == rows:
        raise Refusal(f"Keys must be as many as the {rows} test rows, got {len(keys)}.")
    names, place = np.unique(keys, return_inverse=True)
    share = len(names) / rows
    totals = np.stack([np.bincount(place, row) for row in gaps]) * share
    return totals - gaps.mean() * (np.bincount(place, weights) * share - 1)


def errors(
    gaps: Float[np.ndarray, "*draws seeds rows"],
) -> tuple[Float[np.ndarray, "*draws"], Float[np.ndarray, "*draws"], Float[np.ndarray, "*draws"]]:
    """Return a two-way table's mean and its standard errors by seeds and rows.

    The mean squares of seeds, rows and residual follow a two-way analysis of variance without
    replication. The seed part includes the residual, so the row part excludes it.

    Example:
        >>> mean, by_seeds, by_rows = errors(np.array([[0.0, 2.0], [1.0, 3.0], [2.0, 4.0]]))
        >>> mean.item(), round(by_seeds.item(), 4), by_rows.item()
        (2.0, 0.5774, 1.0)
    """
    seeds, rows = gaps.shape[-2:]
    by_seed, by_row = gaps.mean(-1), gaps.mean(-2)
    mean = by_seed.mean(-1)
    of_seeds = by_seed.var(-1, ddof=1) / seeds  # MS_seeds / (seeds · rows)
    if rows == 1:
        return mean, np.sqrt(of_seeds), np.zeros_like(mean)
    left = gaps - by_seed[..., None] - by_row[..., None, :] + mean[..., None, None]
    rest = (left**2).sum((-2, -1)) / ((seeds - 1) * (rows - 1))
    of_rows = by_row.var(-1, ddof=1) / rows - rest / (
        seeds * rows
    )  # (MS_rows - MS_rest) / (seeds · rows)
    return mean, np.sqrt(of_seeds), np.sqrt(np.maximum(of_rows, 0.0))


def half_width(seed_error: Any, row_error: Any, seeds: float, rows: int, level: float) -> Any:
    """Return the half-width of an interval with a separate Student's t per error.

    Source:
        Banerjee 1960, Sankhyā 22, 357-358 (a t for each part of a variance, never too narrow for
        independent parts); `python -m tools.coverage` measures its error and power here.
    """
    return np.hypot(_t(level, seeds) * seed_error, _t(level, rows) * row_error)


def _t(level: float, count: float) -> float:
    """Return Student's t at a two-sided level for a sample size.

    A single number has no spread and gives 0.
    """
    from scipy import special  # not where a page is opened

    return -float(special.stdtrit(count - 1, level / 2)) if count > 1 else 0.0


def _touching(mean: float, seed_error: float, row_error: float, seeds: int, rows: int) -> float:
    """Return the level at which an interval touches zero."""

    def excess(log_level: float) -> float:
        return float(half_width(seed_error, row_error, seeds, rows, math.exp(log_level))) - abs(
            mean
        )

    if not mean:
        return 1.0
    least = math.log(LEAST_LEVEL)
    if excess(least) <= 0:
        return 0.0
    from scipy import optimize  # not where a page is opened

    return math.exp(optimize.root_scalar(excess, bracket=(least, 0.0)).root)


def verdict_sentence(
    first: str, second: str, difference: PairedDifference, measure: str = "", unit: str = "nat"
) -> str:
    """Write a paired difference as a sentence with its verdict.

    Example:
        >>> difference = PairedDifference(0.03, -0.01, 0.07, 0.11, seeds=5, items=1, spread=0.02)
        >>> print(verdict_sentence("qtha", "lora", difference).partition(" over ")[0])
        qtha − lora: +0.030 nat, 95 % interval [-0.010, +0.070]
    """
    share = f"{100 * (1 - difference.level):.3g} %"
    among = f" among {difference.claims} claims" if difference.claims > 1 else ""
    return (
        f"{first} − {second}{measure and f', {measure}'}: {difference.mean:+.3f} {unit}, {share}"
        f" interval [{difference.low:+.3f}, {difference.high:+.3f}] over {difference.scale}, p ="
        f" {difference.p:.2g}{among}, d = {difference.effect_size:+.1f}:"
        f" {verdict_text(difference)}."
    )


def verdict_text(difference: PairedDifference) -> str:
    """Write the verdict with its margin, or with the seeds or rows that would decide.

    Example:
        >>> verdict_text(PairedDifference(0.001, -0.009, 0.011, 0.8, seeds=5, items=1, spread=0.01))
        'equivalent within ±0.02'
    """
    if difference.verdict == "equivalent":
        return f"equivalent within ±{difference.margin:g}"
    if difference.verdict == "shown":
        return f"shown, within ±{difference.margin:g}" if difference.is_within_margin else "shown"
    if difference.neighbour == "fails" and difference.excludes_zero:
        return "inconclusive (not shown at the neighbouring rate)"
    detectable = f"detectable difference {difference.detectable:.3f}"
    return f"inconclusive ({detectable}; {what_decides(difference)})"


def what_decides(difference: PairedDifference) -> str:
    """Write the runs, seeds or test rows that would decide an inconclusive difference."""
    if difference.lost:
        return f"{difference.lost} run{'s' if difference.lost > 1 else ''} without a result"
    if (seeds := difference.seeds_to_decide) is not None:
        return f"{seeds:,} seeds would decide"
    if (rows := difference.rows_to_decide) is not None:
        return f"{rows:,} test rows would decide, no number of seeds"
    most = f"{MOST_SEEDS:,} seeds"
    return (
        f"neither {most} nor {MOST_ROWS:,} rows would decide"
        if difference.items > 1
        else (f"{most} would not decide")
    )
