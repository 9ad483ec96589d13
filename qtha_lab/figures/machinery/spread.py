"""Spread of a mean over seeds: interval ends, their description, and error bars.

Evaluation rows count as fixed here. `qtha_lab.studies.comparison.paired` computes intervals over
seeds and rows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

Numbers = Sequence[float] | np.ndarray
LEAST_SEEDS = 3  # fewest seeds of an interval; fewer seeds show the smallest and the largest value
MOST_BANDS = 3  # bands in one panel; more would hide each other, and error bars replace them
LEVEL = 0.05


def ends_over_seeds(
    values: Float[np.ndarray, "seeds points"],
) -> tuple[Float[np.ndarray, "points"], Float[np.ndarray, "points"]]:
    """Compute the 95 % interval of the mean over seeds; of two seeds, both values.

    Example:
        >>> low, high = ends_over_seeds(np.array([[1.0], [2.0], [3.0]]))
        >>> round(float(low[0]), 3), round(float(high[0]), 3)  # 2 ± 4.303 · 1 / √3
        (-0.484, 4.484)
    """
    seeds = len(values)
    if seeds < LEAST_SEEDS:
        return values.min(0), values.max(0)
    from scipy import stats

    half = stats.t.ppf(1 - LEVEL / 2, seeds - 1) * values.std(0, ddof=1) / np.sqrt(seeds)
    return values.mean(0) - half, values.mean(0) + half


def words(seeds: Sequence[int]) -> str:
    """Name the ends that `ends_over_seeds` computes for these numbers of seeds.

    Example:
        >>> words([20, 20])
        "its 95 % interval over the seeds (Student's t)"
    """
    interval = "its 95 % interval over the seeds (Student's t)"
    if all(count >= LEAST_SEEDS for count in seeds):
        return interval
    ends = "the smallest and the largest"
    return (
        ends if all(count < LEAST_SEEDS for count in seeds) else f"{interval}; of two seeds {ends}"
    )


def error_bar(mean: Numbers, low: Numbers, high: Numbers, width: float) -> dict[str, Any]:
    """Return plotly's error bars with these ends.

    Args:
        mean: Values of the line.
        low: Lower ends.
        high: Upper ends.
        width: Stroke width in pixels.
    """
    middle = np.asarray(mean)
    return {
        "type": "data",
        "symmetric": False,
        "thickness": width,
        "width": 2.5 * width,
        "array": np.asarray(high) - middle,
        "arrayminus": middle - np.asarray(low),
    }
