"""Claims of a comparison: paired difference of each method to the first, with verdict.

Every method uses its best learning rate. The loss is the test loss per row, paired by row, where
all runs have it; runs without test loss are compared by evaluation loss. A table over all models
and tasks makes m claims. Each interval has level 1 - 0.05/m and each p is multiplied by m
(Bonferroni). All intervals of the table then hold simultaneously with 95 %.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from qtha_lab.experiment.model_task_pairs import Cell, by_cell, name_in
from qtha_lab.studies.comparison.paired import (
    LEAST_SEEDS,
    PairedDifference,
    paired_difference,
    rounding_floor,
    sentence,
)
from qtha_lab.studies.comparison.row_losses import TestItems, losses_of
from qtha_lab.studies.comparison.tuning import at_their_best, family

NOWHERE = Cell("", "")
WORDS = {"test_loss": "test loss", "eval_loss": "evaluation loss"}


@dataclass(frozen=True)
class Claim:
    """Paired difference between two methods.

    Attributes:
        first: Label of the method whose loss comes first.
        second: Label of the method whose loss is subtracted.
        measure: `test_loss` or `eval_loss`.
        difference: First minus second.
        cell: The (model, task) pair.
        cells: Number of compared (model, task) pairs; with more than one, sentences name the pair.
    """

    first: str
    second: str
    measure: str
    difference: PairedDifference
    cell: Cell = NOWHERE
    cells: int = 1

    @property
    def verdict(self) -> str:
        """Claim as a sentence with its verdict."""
        words = name_in(WORDS[self.measure], self.cell, self.cells)
        return sentence(self.first, self.second, self.difference, words)

    def plain(self) -> dict[str, Any]:
        """Return the claim as plain data for JSON."""
        numbers = vars(self.difference) | {
            "shown": self.difference.is_shown,
            "effect_size": self.difference.effect_size,
            "detectable": self.difference.detectable,
            "seeds_needed": self.difference.seeds_for(self.difference.mean),
            "needs_rows": self.difference.needs_rows(self.difference.mean),
        }
        names = {"first": self.first, "second": self.second, "measure": self.measure}
        names |= self.cell.fields
        return names | numbers | {"verdict": self.verdict}


def against_the_first(
    entries: Sequence[dict[str, Any]],
    items: Mapping[str, TestItems] | None = None,
    rounding: Mapping[str, Sequence[float]] | None = None,
) -> list[Claim]:
    """Compare each method to the first of its (model, task) pair.

    Methods need three seeds in common. All claims form one Bonferroni family.

    Args:
        entries: Entries of all runs.
        items: Test rows by run id, for the runs that have them.
        rounding: Losses of one seed with 1-ulp perturbations of the initial weights, by `name_in`
            of the method label without learning rate.
    """
    cells = by_cell(entries)
    pairs = {cell: _pairs([*dict.fromkeys(map(family, of))]) for cell, of in cells.items()}
    return claims(at_their_best(entries), pairs, items or {}, rounding or {}, len(cells))


class Lack(NamedTuple):
    """Two methods with enough common seeds, but no common loss.

    Attributes:
        first: Label of the method whose loss would come first.
        second: Label of the method whose loss would be subtracted.
        names: Labels of the methods with runs that lack an evaluation loss.
        place: Text that names the (model, task) pair; "" for a single pair.
    """

    first: str
    second: str
    names: list[str]
    place: str

    @property
    def sentence(self) -> str:
        """Sentence that states the missing comparison and its reason."""
        return (
            f"{self.first} − {self.second}{self.place}: not compared. Some runs have no test loss, and some of "
            f"{' and '.join(self.names)} no evaluation loss either."
        )


def without_a_loss(entries: Sequence[dict[str, Any]]) -> list[Lack]:
    """Return the methods with three common seeds but no loss to compare.

    Args:
        entries: Entries of all runs.
    """
    cells, best, found = by_cell(entries), by_cell(at_their_best(entries)), []
    for cell, in_cell in cells.items():
        at_best = best.get(cell, [])
        measure = measure_of(at_best)
        for pair in _pairs([*dict.fromkeys(map(family, in_cell))]):
            sides = _shared(at_best, pair)
            lacking = [losses_of(side, {}, measure) is None for side in sides]
            if len(sides[0]) >= LEAST_SEEDS and any(lacking):
                names = [name for name, lacks in zip(pair, lacking, strict=True) if lacks]
                found.append(Lack(*pair, names, name_in("", cell, len(cells))))
    return found


def _pairs(names: list[str]) -> list[tuple[str, str]]:
    return [(name, names[0]) for name in names[1:]]


def claims(
    entries: Sequence[dict[str, Any]],
    pairs: Mapping[Cell, Collection[tuple[str, str]]],
    items: Mapping[str, TestItems],
    rounding: Mapping[str, Sequence[float]],
    cells: int = 1,
) -> list[Claim]:
    """Compute the differences of method pairs as one Bonferroni family.

    Omits pairs with fewer than three common seeds.

    Args:
        entries: Entries of runs at the best learning rate of their method.
        pairs: Pairs of labels without learning rate, by (model, task) pair; the second label is
            subtracted.
        items: Test rows by run id.
        rounding: Losses under 1-ulp perturbation, by `name_in` of the label without learning rate.
        cells: Number of (model, task) pairs of the comparison.
    """
    candidates: list[_Found] = []
    for cell, in_cell in by_cell(entries).items():
        candidates += _losses(cell, in_cell, pairs.get(cell, ()), items)
    differences = [
        paired_difference(
            *of.losses,
            claims=len(candidates),
            floor=_floor(
                [name_in(name, of.cell, cells) for name in of.pair], rounding, len(of.losses[0])
            ),
        )
        for of in candidates
    ]
    return [
        Claim(*of.pair, of.measure, difference, of.cell, cells)
        for of, difference in zip(candidates, differences, strict=True)
    ]


class _Found(NamedTuple):
    """Losses of two methods on one (model, task) pair, (seeds, items) each."""

    cell: Cell
    pair: tuple[str, str]
    measure: str
    losses: tuple[Any, Any]


def _losses(
    cell: Cell,
    entries: Sequence[dict[str, Any]],
    pairs: Iterable[tuple[str, str]],
    items: Mapping[str, TestItems],
) -> Iterator[_Found]:
    """Yield the losses of pairs with enough common seeds, on one (model, task) pair."""
    measure = measure_of(entries)
    for pair in pairs:
        losses = paired_losses(entries, pair, items)
        if losses is not None and len(losses[0]) >= LEAST_SEEDS:
            yield _Found(cell, pair, measure, losses)


def paired_losses(
    entries: Sequence[dict[str, Any]], pair: Sequence[str], items: Mapping[str, TestItems]
) -> tuple[Any, Any] | None:
    """Return the losses of two methods, (seeds, rows) each; None if any is missing.

    Args:
        entries: Entries of runs on one (model, task) pair, at the best learning rate of their
            method.
        pair: Two labels without learning rate.
        items: Test rows by run id.
    """
    measure = measure_of(entries)
    first, second = (losses_of(side, items, measure) for side in _shared(entries, pair))
    return None if first is None or second is None else _alike(first, second)


def _shared(
    entries: Sequence[dict[str, Any]], pair: Sequence[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the runs of two methods with common seeds, ordered by seed."""
    first, second = (
        {entry["seed"]: entry for entry in entries if family(entry) == name} for name in pair
    )
    seeds = sorted(first.keys() & second.keys())
    return [first[seed] for seed in seeds], [second[seed] for seed in seeds]


def measure_of(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return "test_loss" if all runs have one, else "eval_loss"."""
    tested = bool(entries) and all(entry.get("test_loss") is not None for entry in entries)
    return "test_loss" if tested else "eval_loss"


def _alike(first: Any, second: Any) -> tuple[Any, Any]:
    """Return both losses per item if the shapes agree, else both as means."""
    if first.shape == second.shape:
        return first, second
    return first.mean(1, keepdims=True), second.mean(1, keepdims=True)


def _floor(
    pair: Sequence[str], rounding: Mapping[str, Sequence[float]], seeds: int
) -> float | None:
    """Return the noise floor of a difference; None unless measured for both methods."""
    repeats = [rounding[name] for name in pair if name in rounding]
    if len(repeats) < len(pair):
        return None
    halves = [rounding_floor(np.array(values), seeds) ** 2 for values in repeats]
    return float((sum(halves) / 2) ** 0.5)
