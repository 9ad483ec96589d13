"""Simulated studies without any difference, and the share of them that claim a win.

Each freedom of an experimenter adds chances: rates tried for one method alone, measures and subsets
of rows chosen afterwards, and stopping when the result is good.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from qtha_lab.core.errors import Refusal

STUDIES = 1000
LEAST_SEEDS = 3
SHARED = 0.5  # of the variance: what all choices of one seed have in common
LEVEL = 0.025  # share of false wins that an honest interval of 95 % allows
RULES = ("interval below zero", "lower mean")


@dataclass(frozen=True)
class Freedoms:
    """Choices of an experimenter.

    Attributes:
        seeds: Largest number of seeds.
        rates: Learning rates tried for QTHA; LoRA has one.
        measures: Measures, of which the best is reported.
        subsets: Subsets of the test rows, of which the best is reported.
        stops: True if seeds are added only until the result is a win.
        rule: Rule for a win, one of `RULES`.
    """

    seeds: int = 5
    rates: int = 1
    measures: int = 1
    subsets: int = 1
    stops: bool = False
    rule: str = RULES[0]

    def __post_init__(self):
        if self.seeds < LEAST_SEEDS:
            raise Refusal(f"seeds must be at least {LEAST_SEEDS}, got {self.seeds}.")
        for name in ("rates", "measures", "subsets"):
            if getattr(self, name) < 1:
                raise Refusal(f"{name} must be at least 1, got {getattr(self, name)}.")
        if self.rule not in RULES:
            raise Refusal(f"rule must be one of {', '.join(RULES)}, got {self.rule!r}.")


def false_wins(freedoms: Freedoms, studies: int = STUDIES, seed: int = 0) -> dict[str, float]:
    """Return the share of studies that claim a win, per added freedom.

    The methods do not differ: differences of a seed are normal with mean zero, and any two choices
    have half of their variance in common [R].

    Args:
        freedoms: Choices of the experimenter.
        studies: Number of simulated studies.
        seed: Seed of the simulation.

    Example:
        >>> wins = false_wins(Freedoms(seeds=5, rates=5, measures=3))
        >>> wins["as planned"] < 0.05 < wins["+ rates"] < wins["+ measures"]
        True
    """
    draws = _differences(freedoms, studies, seed)
    r, m, k = freedoms.rates, freedoms.measures, freedoms.subsets
    wins = _wins(draws, freedoms.rule, slice(freedoms.seeds - 1, None))[:, 0]
    steps = {
        "as planned": wins[:, :1, :1, :1],
        "+ rates": wins[:, :r, :1, :1],
        "+ measures": wins[:, :r, :m, :1],
        "+ subsets": wins[:, :r, :m, :k],
    }
    if freedoms.stops:
        wins = _wins(draws, freedoms.rule, slice(LEAST_SEEDS - 1, None))
    steps["+ stopping"] = wins
    return {name: float(of.reshape(studies, -1).any(1).mean()) for name, of in steps.items()}


@functools.lru_cache(maxsize=4)
def _differences(
    freedoms: Freedoms, studies: int, seed: int
) -> Float[np.ndarray, "studies seeds rates measures subsets"]:
    random = np.random.default_rng(seed)
    choices = (freedoms.rates, freedoms.measures, freedoms.subsets)
    common = random.standard_normal((studies, freedoms.seeds, 1, 1, 1), np.float32)
    own = random.standard_normal((studies, freedoms.seeds, *choices), np.float32)
    return np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * own


def _wins(
    differences: np.ndarray, rule: str, looks: slice
) -> Bool[np.ndarray, "studies looks rates measures subsets"]:
    """Return the wins of every choice, each time the experimenter looks.

    Args:
        differences: Differences of each seed and choice.
        rule: Rule for a win.
        looks: Numbers of seeds, less one, after which the experimenter looks.
    """
    counts = np.arange(1, differences.shape[1] + 1, dtype=np.float32)[looks, None, None, None]
    sums = differences.cumsum(1)[:, looks]
    if rule != RULES[0]:
        return sums < 0
    squares = (differences**2).cumsum(1)[:, looks]
    spread = np.sqrt(np.maximum(squares - sums**2 / counts, 0) * counts / (counts - 1))
    quantile = stats.t.ppf(1 - LEVEL, counts - 1).astype(np.float32)
    return sums + quantile * spread < 0
