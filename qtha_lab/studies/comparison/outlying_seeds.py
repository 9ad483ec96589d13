"""Seeds with an outlying test loss among the seeds of a method."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from qtha_lab.studies.comparison.tuning import at_their_best, family

LEAST_SEEDS = 4
LEVEL = 0.01  # chance to name a seed of a method with normal losses


class OutlyingSeed(NamedTuple):
    """Seed of a method, its loss, and the mean loss of the other seeds."""

    name: str
    seed: int
    loss: float
    others: float


def outlying_seeds(entries: Sequence[dict[str, Any]]) -> list[OutlyingSeed]:
    """Return the outlying seed of each method on one (model, task) pair that has one.

    Args:
        entries: Entries of ended runs; each method is read at its best learning rate.

    Source:
        Grubbs 1950, Annals of Mathematical Statistics 21, 27-58 (two-sided, one outlier).
    """
    losses: dict[str, dict[int, float]] = {}
    for entry in at_their_best(entries):
        if entry.get("test_loss") is not None:
            losses.setdefault(family(entry), {})[entry["seed"]] = entry["test_loss"]
    return [
        OutlyingSeed(name, seed, of[seed], statistics.fmean(of[s] for s in of if s != seed))
        for name, of in losses.items()
        if (seed := _outlier(of)) is not None
    ]


def outlying_sentences(entries: Sequence[dict[str, Any]]) -> list[str]:
    """Name the methods with an outlying seed."""
    return [
        f"{of.name} has an outlying seed: {of.loss:.3f} with seed {of.seed}, {of.others:.3f} in the"
        " mean of the others. Its mean and interval depend on this run."
        for of in outlying_seeds(entries)
    ]


def _outlier(losses: dict[int, float]) -> int | None:
    """Return the seed whose loss is an outlier by the test of Grubbs."""
    count = len(losses)
    if count < LEAST_SEEDS or not (spread := statistics.stdev(losses.values())):
        return None
    from scipy import special  # not where a page is opened

    mean = statistics.fmean(losses.values())
    seed = max(losses, key=lambda each: abs(losses[each] - mean))
    t = -float(special.stdtrit(count - 2, LEVEL / (2 * count)))
    limit = (count - 1) / math.sqrt(count) * math.sqrt(t**2 / (count - 2 + t**2))
    return seed if abs(losses[seed] - mean) > limit * spread else None
