"""The difference between two methods that were trained with the same seeds and judged on the same items.

Numbers in, an interval, a p-value and what could have been detected out; reads no run. Whether a difference is shown
is decided here, once, for sentences, tables and figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats

from qtha_lab.errors import Refusal

LEAST_SEEDS = 3
LEAST_REPEATS = 5
POWER = 0.8
LARGE_P = 0.05  # a p that can be no smaller says nothing of a difference
FLIPS = 9999  # of signs at most; fewer where there are no more ways, of 13 seeds or less
MOST_SEEDS = 10_000
LEAST_SAID = 0.0005  # of a floor, which three places show


@dataclass(frozen=True)
class PairedDifference:
    """First minus second, over seeds and items.

    Attributes:
        mean: The difference.
        low: Lower end of its interval.
        high: Upper end.
        p: Of a permutation test that flips the sign of whole seeds, two-sided; after `holm`, of the family.
        seeds: How many.
        items: How many were judged in every run; 1 where only a mean is known.
        spread: Standard deviation over the seeds of the difference.
        level: Chance of error of the interval, 0.05 for one of 95 %.
        floor: Half-width of what rounding alone would make of the difference; None where it was not measured.
        row_error: What would be left of the standard error with endless seeds, since the rows are a sample too.
        claims: How many the p is corrected for.
    """

    mean: float
    low: float
    high: float
    p: float
    seeds: int
    items: int
    spread: float
    level: float = 0.05
    floor: float | None = None
    row_error: float = 0.0
    claims: int = 1

    @property
    def is_shown(self) -> bool:
        """Whether the interval leaves out zero and the difference is above what rounding makes, where that is known."""
        return not self.low <= 0 <= self.high and abs(self.mean) > (self.floor or 0.0)

    @property
    def error(self) -> float:
        """Standard error of the mean over seeds and rows, that of the interval."""
        return (self.high - self.low) / 2 / float(stats.t.ppf(1 - self.level / 2, self.seeds - 1))

    @property
    def effect_size(self) -> float:
        """The difference in its standard deviations over the seeds (Cohen's d of pairs)."""
        return self.mean / self.spread if self.spread else math.copysign(math.inf, self.mean)

    @property
    def detectable(self) -> float:
        """The smallest difference that this many seeds on as many rows would show four times in five."""
        return float(self._detectable_by(self.seeds))

    def seeds_for(self, difference: float) -> int | None:
        """How many seeds would show a difference four times in five on as many rows; None if no number up to 10,000."""
        counts = np.arange(LEAST_SEEDS, MOST_SEEDS + 1)
        enough = (
            counts[self._detectable_by(counts) <= abs(difference)] if difference else counts[:0]
        )
        return int(enough[0]) if len(enough) else None

    def needs_rows(self, difference: float) -> bool:
        """Whether no number of seeds would show a difference four times in five: it takes more rows."""
        return self.row_error > 0 and bool(self._detectable_by(math.inf) > abs(difference))

    def _detectable_by(self, seeds: Any) -> Any:
        """The same error and level as the interval's, of which the part that is no row's falls with the seeds."""
        of_rows = self.row_error**2
        of_seeds = max(self.error**2 - of_rows / (1 - 1 / self.seeds), 0.0) * self.seeds
        error = np.sqrt(of_seeds / seeds + of_rows / (1 - 1 / seeds))
        return (stats.t.ppf(1 - self.level / 2, seeds - 1) + stats.t.ppf(POWER, seeds - 1)) * error


def paired_difference(
    first: Float[np.ndarray, "seeds ..."],
    second: Float[np.ndarray, "seeds ..."],
    *,
    level: float = 0.05,
    resamples: int = 4999,
    floor: float | None = None,
) -> PairedDifference:
    """What two methods differ by, with an interval over seeds and, where they are known, items.

    Seeds and items are drawn anew together (both are samples: of starts, and of what could have been asked); the
    standard error of these draws, widened for the seeds being few, is taken times Student's t. Plain percentiles
    would never reach beyond the seeds at hand: of four they cover 88 % at most.

    Args:
        first: Of one method, a row per seed; a column per item where they are known.
        second: Of the other, the same seeds and items in the same order.
        level: Chance of error of the interval.
        resamples: Draws of the bootstrap.
        floor: Half-width of what rounding alone makes of such a difference; None where it was not measured.

    Raises:
        Refusal: If the shapes differ, a number is not finite, or there are fewer than three seeds.

    Example:
        >>> lora, qtha = np.array([4.10, 4.12, 4.15]), np.array([4.20, 4.21, 4.26])
        >>> paired_difference(qtha, lora).is_shown
        True

    Source:
        Hesterberg 2015, arXiv:1411.5279, section 5 (t interval with the bootstrap's standard error, and its narrowness).
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    if first.shape != second.shape:
        raise Refusal(f"pairs need the same seeds and items, not {first.shape} and {second.shape}")
    if first.shape[0] < LEAST_SEEDS:
        raise Refusal(f"an interval needs at least {LEAST_SEEDS} seeds, not {first.shape[0]}")
    gaps = (first - second).reshape(len(first), -1)
    if not np.isfinite(gaps).all():
        raise Refusal("pairs need finite numbers: a run diverged")
    seeds, items = gaps.shape
    means = gaps.mean(1)
    error = means.std(ddof=1) / math.sqrt(seeds)
    if items > 1:
        error = _bootstrapped_error(gaps, resamples) * math.sqrt(seeds / (seeds - 1))
    half = stats.t.ppf(1 - level / 2, seeds - 1) * error
    return PairedDifference(
        mean=float(means.mean()),
        low=float(means.mean() - half),
        high=float(means.mean() + half),
        p=_sign_flips(means),
        seeds=seeds,
        items=items,
        spread=float(means.std(ddof=1)),
        level=level,
        floor=floor,
        row_error=_row_error(gaps),
    )


def least_p(seeds: int, claims: int = 1) -> float:
    """The smallest p that so few seeds can give, however large a difference, after Holm among so many claims.

    Example:
        >>> least_p(3), least_p(5, claims=2)
        (0.25, 0.125)
    """
    ways = min(2.0**seeds, FLIPS + 1)  # where not all flips are made, the least of a sample of them
    return min(1.0, 2 / ways * claims)


def holm(differences: Sequence[PairedDifference]) -> list[PairedDifference]:
    """The same with the p-values of a family of claims (Holm's step-down).

    Args:
        differences: All that are claimed side by side.
    """
    order = sorted(range(len(differences)), key=lambda k: differences[k].p)
    adjusted, largest = [0.0] * len(differences), 0.0
    for rank, k in enumerate(order):
        largest = max(largest, min(1.0, (len(differences) - rank) * differences[k].p))
        adjusted[k] = largest
    return [
        replace(d, p=p, claims=len(differences)) for d, p in zip(differences, adjusted, strict=True)
    ]


def rounding_floor(
    repeats: Float[np.ndarray, " repeats"], seeds: int, level: float = 0.05
) -> float:
    """Half-width of the difference of two means over seeds that rounding alone makes.

    Args:
        repeats: Results of one seed, the adapter's start moved by one unit in the last place each time.
        seeds: How many seeds each mean is over.
        level: Chance of a larger one.

    Raises:
        Refusal: If there are fewer than five repeats.
    """
    repeats = np.asarray(repeats, float)
    if len(repeats) < LEAST_REPEATS:
        raise Refusal(
            f"a rounding floor needs at least {LEAST_REPEATS} repeats, not {len(repeats)}"
        )
    quantile = stats.t.ppf(1 - level / 2, len(repeats) - 1)
    return float(quantile * repeats.std(ddof=1) * math.sqrt(2 / seeds))


def sentence(
    first: str, second: str, difference: PairedDifference, measure: str = "", unit: str = "nat"
) -> str:
    """What the difference says, in words; that nothing is shown is said as plainly.

    Args:
        first: Name of the method whose result stands first.
        second: Name of the one that is taken away.
        difference: Their difference, first minus second.
        measure: What is compared, in words; "" leaves it out.
        unit: Of both results.

    Example:
        >>> difference = PairedDifference(0.03, -0.01, 0.07, 0.25, seeds=5, items=1, spread=0.02)
        >>> print(sentence("qtha", "lora", difference))
        qtha − lora: +0.030 nat, 95 % interval [-0.010, +0.070] over 5 seeds, p = 0.25, d = +1.5: not shown (rounding not measured; a difference of 0.054 would have been found four times in five; +0.030 itself needs 12 seeds).
    """
    share = f"{100 * (1 - difference.level):.3g} %"
    of = f"{difference.seeds} seeds"
    if difference.items > 1:
        of += f" and {difference.items} rows"
    least = least_p(difference.seeds, difference.claims)
    too_few = difference.is_shown and least > LARGE_P
    among = f" among {difference.claims} claims" if difference.claims > 1 else ""
    few = f" (so few seeds give none below {least:.2g}{among})" if too_few else ""
    head = (
        f"{first} − {second}{measure and f', {measure}'}: {difference.mean:+.3f} {unit}, {share} interval "
        f"[{difference.low:+.3f}, {difference.high:+.3f}] over {of}, p = {difference.p:.2g}{few}, "
        f"d = {difference.effect_size:+.1f}"
    )
    rounding = _rounding(difference.floor)
    if difference.is_shown:
        return f"{head}: shown ({rounding})."
    if not difference.low <= 0 <= difference.high:
        return f"{head}: not shown ({rounding}, which is more)."
    return (
        f"{head}: not shown ({rounding}; a difference of {difference.detectable:.3f} would have been found "
        f"four times in five{_what_it_needs(difference)})."
    )


def _rounding(floor: float | None) -> str:
    """What rounding alone makes, in words, to three places."""
    if floor is None:
        return "rounding not measured"
    return f"rounding alone makes {f'±{floor:.3f}' if floor >= LEAST_SAID else 'less than 0.001'}"


def _what_it_needs(difference: PairedDifference) -> str:
    """What a difference that is not shown would take, in words; nothing of none at all."""
    if not difference.mean:
        return ""
    head, needed = f"; {difference.mean:+.3f} itself needs", difference.seeds_for(difference.mean)
    if needed is not None:
        return f"{head} {needed:,} seeds"
    if difference.needs_rows(difference.mean):
        return f"{head} more test rows: no number of seeds is enough"
    return f"{head} more than {MOST_SEEDS:,} seeds"


def _bootstrapped_error(gaps: Float[np.ndarray, "seeds items"], resamples: int) -> float:
    """Standard error of the mean over seeds and items drawn with replacement, always the same draws."""
    seeds, items = (np.arange(count) for count in gaps.shape)

    def mean(seeds: np.ndarray, items: np.ndarray, axis: int) -> np.ndarray:
        return np.take_along_axis(gaps[seeds].mean(-2), items, axis).mean(axis)

    drawn = stats.bootstrap(
        (seeds, items), mean, n_resamples=resamples, batch=100, vectorized=True, method="percentile",
        rng=np.random.default_rng(0),
    )  # fmt: skip
    return float(drawn.standard_error)


def _row_error(gaps: Float[np.ndarray, "seeds items"]) -> float:
    """What the rows add to the standard error, however many seeds: the variance of items beyond what seeds make of it.

    Source:
        Owen 2007, arXiv:0712.1111, section 3 (a table of two samples, of rows and of columns).
    """
    seeds, items = gaps.shape
    if items == 1:
        return 0.0
    by_item = gaps.mean(0)
    rest = gaps - by_item - gaps.mean(1, keepdims=True) + gaps.mean()
    noise = (rest**2).sum() / ((seeds - 1) * (items - 1))
    variance = by_item.var(ddof=1) - noise / seeds
    return math.sqrt(max(variance, 0.0) * (items - 1)) / items


def _sign_flips(means: Float[np.ndarray, " seeds"]) -> float:
    """Two-sided p of the mean being as far from zero if the two methods could be exchanged in every seed."""
    tested = stats.permutation_test(
        (means,), lambda sample, axis: np.mean(sample, axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=FLIPS, rng=np.random.default_rng(0),
    )  # fmt: skip
    return float(tested.pvalue)
