"""What a comparison claims: the difference of each method to the first, and whether it is shown.

Every method stands at its best learning rate. The loss is that of the test rows, pair by pair, where all runs have
them; of older runs it is the evaluation loss. Of m claims each interval is one of 1 - 0.05/m (Bonferroni) and each p is
Holm's, so that all hold together with 95 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qtha_lab.compare.items import TestItems, losses_of
from qtha_lab.compare.paired import (
    LEAST_REPEATS,
    LEAST_SEEDS,
    PairedDifference,
    holm,
    paired_difference,
    rounding_floor,
    sentence,
)
from qtha_lab.compare.tuning import at_their_best, family

WORDS = {"test_loss": "test loss", "eval_loss": "evaluation loss"}


@dataclass(frozen=True)
class Claim:
    """A difference between two methods.

    Attributes:
        first: The method whose loss stands first.
        second: The one whose loss is taken away.
        measure: `test_loss` or `eval_loss`.
        difference: First minus second.
    """

    first: str
    second: str
    measure: str
    difference: PairedDifference

    @property
    def verdict(self) -> str:
        """The claim as a sentence; "not shown" is one."""
        return sentence(self.first, self.second, self.difference, WORDS[self.measure])

    def plain(self) -> dict[str, Any]:
        """The claim as JSON."""
        numbers = vars(self.difference) | {
            "shown": self.difference.is_shown,
            "effect_size": self.difference.effect_size,
            "detectable": self.difference.detectable,
            "seeds_needed": self.difference.seeds_for(self.difference.mean),
        }
        names = {"first": self.first, "second": self.second, "measure": self.measure}
        return names | numbers | {"verdict": self.verdict}


def against_the_first(
    entries: Sequence[dict[str, Any]],
    items: Mapping[str, TestItems] | None = None,
    rounding: Mapping[str, Sequence[float]] | None = None,
) -> list[Claim]:
    """Each method against the first, where three seeds have both.

    Args:
        entries: Of all runs.
        items: Test rows of the runs that have them, by run id.
        rounding: Losses of one seed of a method whose start was moved by a rounding, by label without rate.
    """
    best = at_their_best(entries)
    names = list(dict.fromkeys(family(entry) for entry in entries))
    return claims(best, [(name, names[0]) for name in names[1:]], items or {}, rounding or {})


def claims(
    entries: Sequence[dict[str, Any]],
    pairs: Sequence[tuple[str, str]],
    items: Mapping[str, TestItems],
    rounding: Mapping[str, Sequence[float]],
) -> list[Claim]:
    """The differences of some pairs of methods as one family; a pair without three common seeds is left out.

    Args:
        entries: Of runs at the best rate of their method.
        pairs: Labels without rate; the second is taken away.
        items: Test rows by run id.
        rounding: Losses at moved starts, by label without rate.
    """
    measure = measure_of(entries)
    losses = {}
    for pair in pairs:
        by_seed = [
            {entry["seed"]: entry for entry in entries if family(entry) == name} for name in pair
        ]
        shared = sorted(by_seed[0].keys() & by_seed[1].keys())
        both = [losses_of([side[seed] for seed in shared], items, measure) for side in by_seed]
        if len(shared) >= LEAST_SEEDS and both[0] is not None and both[1] is not None:
            losses[pair] = both[0], both[1]
    differences = [
        paired_difference(
            *_alike(*both),
            level=0.05 / len(losses),
            floor=_floor(pair, rounding, len(both[0])),
        )
        for pair, both in losses.items()
    ]
    return [
        Claim(first, second, measure, difference)
        for (first, second), difference in zip(losses, holm(differences), strict=True)
    ]


def measure_of(entries: Sequence[Mapping[str, Any]]) -> str:
    """What methods are compared by: the test loss where all runs have one, else the evaluation loss."""
    tested = bool(entries) and all(entry.get("test_loss") is not None for entry in entries)
    return "test_loss" if tested else "eval_loss"


def losses_at_moved_starts(repeats: Sequence[dict[str, Any]]) -> dict[str, list[float]]:
    """The test losses of repeats that finished, by label without rate; of one rate alone, that with most repeats.

    Args:
        repeats: Entries of runs of one seed whose starts were moved by a rounding.
    """
    by_rate: dict[str, dict[float, list[float]]] = {}
    for entry in repeats:
        if entry["state"] == "finished" and "test_loss" in entry:
            rates = by_rate.setdefault(family(entry), {})
            rates.setdefault(entry["learning_rate"], []).append(entry["test_loss"])
    most = {name: max(rates.values(), key=len) for name, rates in by_rate.items()}
    return {name: losses for name, losses in most.items() if len(losses) >= LEAST_REPEATS}


def _alike(first: Any, second: Any) -> tuple[Any, Any]:
    """Both by item if both have items, else both as means."""
    if first.shape == second.shape:
        return first, second
    return first.mean(1, keepdims=True), second.mean(1, keepdims=True)


def _floor(pair: tuple[str, str], rounding: Mapping[str, Sequence[float]], seeds: int) -> float:
    """What rounding alone makes of the difference; 0 where it was not measured for both."""
    repeats = [rounding.get(name) for name in pair]
    if None in repeats:
        return 0.0
    halves = [
        rounding_floor(np.array(values), seeds) ** 2 for values in repeats if values is not None
    ]
    return float((sum(halves) / 2) ** 0.5)
