"""What a comparison claims: the difference of each method to the first, and whether it is shown.

Every method stands at its best learning rate. The loss is that of the test rows, pair by pair,
where all runs have them; of older runs it is the evaluation loss. Of the m claims of one table,
over all models and tasks, each interval is one of 1 - 0.05/m and each p is m times its own
(Bonferroni), so that those of this table hold together with 95 %.
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
    """A difference between two methods.

    Attributes:
        first: The method whose loss stands first.
        second: The one whose loss is taken away.
        measure: `test_loss` or `eval_loss`.
        difference: First minus second.
        cell: The model and the task.
        cells: How many of them are compared; beside others the cell is named.
    """

    first: str
    second: str
    measure: str
    difference: PairedDifference
    cell: Cell = NOWHERE
    cells: int = 1

    @property
    def verdict(self) -> str:
        """The claim as a sentence with its verdict."""
        words = name_in(WORDS[self.measure], self.cell, self.cells)
        return sentence(self.first, self.second, self.difference, words)

    def plain(self) -> dict[str, Any]:
        """The claim as JSON."""
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
    """Each method against the first of its cell, where three seeds have both; all of them are one family.

    Args:
        entries: Of all runs.
        items: Test rows of the runs that have them, by run id.
        rounding: Losses of one seed of a method whose start was moved by a rounding, by `name_in`
            of its label without rate.
    """
    cells = by_cell(entries)
    pairs = {cell: _pairs([*dict.fromkeys(map(family, of))]) for cell, of in cells.items()}
    return claims(at_their_best(entries), pairs, items or {}, rounding or {}, len(cells))


class Lack(NamedTuple):
    """Two methods that seeds enough have finished, and which have no loss in common.

    Attributes:
        first: The method that would stand first.
        second: The one that would be taken away.
        names: Those of them of which not all runs have an evaluation loss.
        place: In words, where there are several cells.
    """

    first: str
    second: str
    names: list[str]
    place: str

    @property
    def sentence(self) -> str:
        """That they are not compared, and why."""
        return (
            f"{self.first} − {self.second}{self.place}: not compared. Some runs have no test loss, and some of "
            f"{' and '.join(self.names)} no evaluation loss either."
        )


def without_a_loss(entries: Sequence[dict[str, Any]]) -> list[Lack]:
    """The methods that cannot be held against the first of their cell, though three seeds have both.

    Args:
        entries: Of all runs.
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
    """The differences of some pairs of methods as one family; a pair without three common seeds is left out.

    Args:
        entries: Of runs at the best rate of their method.
        pairs: Labels without rate by the cell they are compared in; the second of a pair is taken
            away.
        items: Test rows by run id.
        rounding: Losses at moved starts, by `name_in` of the label without rate.
        cells: Of how many cells the comparison is.
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
    """The losses of two methods in a cell, (seeds, items) of each."""

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
    """The losses of the pairs that have enough seeds in common, in one cell."""
    measure = measure_of(entries)
    for pair in pairs:
        losses = paired_losses(entries, pair, items)
        if losses is not None and len(losses[0]) >= LEAST_SEEDS:
            yield _Found(cell, pair, measure, losses)


def paired_losses(
    entries: Sequence[dict[str, Any]], pair: Sequence[str], items: Mapping[str, TestItems]
) -> tuple[Any, Any] | None:
    """Return the losses of two methods, (seeds, rows) of each; None where runs have none in common.

    Args:
        entries: Of runs in one cell, at the best rate of their method.
        pair: Labels without rate.
        items: Test rows by run id.
    """
    measure = measure_of(entries)
    first, second = (losses_of(side, items, measure) for side in _shared(entries, pair))
    return None if first is None or second is None else _alike(first, second)


def _shared(
    entries: Sequence[dict[str, Any]], pair: Sequence[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The runs of two methods with the seeds that both have, in the order of the seeds."""
    first, second = (
        {entry["seed"]: entry for entry in entries if family(entry) == name} for name in pair
    )
    seeds = sorted(first.keys() & second.keys())
    return [first[seed] for seed in seeds], [second[seed] for seed in seeds]


def measure_of(entries: Sequence[Mapping[str, Any]]) -> str:
    """What methods are compared by: the test loss where all runs have one, else the evaluation loss."""
    tested = bool(entries) and all(entry.get("test_loss") is not None for entry in entries)
    return "test_loss" if tested else "eval_loss"


def _alike(first: Any, second: Any) -> tuple[Any, Any]:
    """Both by item if both have items, else both as means."""
    if first.shape == second.shape:
        return first, second
    return first.mean(1, keepdims=True), second.mean(1, keepdims=True)


def _floor(
    pair: Sequence[str], rounding: Mapping[str, Sequence[float]], seeds: int
) -> float | None:
    """What rounding alone makes of the difference; None where it was not measured for both."""
    repeats = [rounding[name] for name in pair if name in rounding]
    if len(repeats) < len(pair):
        return None
    halves = [rounding_floor(np.array(values), seeds) ** 2 for values in repeats]
    return float((sum(halves) / 2) ** 0.5)
