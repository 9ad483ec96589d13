"""Claims of a comparison: paired difference of each method to the first, with verdict.

Every method uses its best learning rate. The loss is the test loss per row, paired by row, where
all runs have it; runs without test loss are compared by evaluation loss. A table over all models
and tasks makes m claims. Each interval has level 1 - 0.05/m and each p is multiplied by m
(Bonferroni). All intervals of the table then hold simultaneously with 95 %.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from qtha_lab.experiment.description import ModelTask, by_model_task, name_in
from qtha_lab.studies.comparison.neighbouring_rates import (
    AtNeighbour,
    at_neighbours,
    with_neighbours,
)
from qtha_lab.studies.comparison.outcomes import lost
from qtha_lab.studies.comparison.paired import (
    LEAST_SEEDS,
    MARGIN,
    PairedDifference,
    verdict_sentence,
)
from qtha_lab.studies.comparison.row_losses import (
    PairedLosses,
    TestItems,
    losses_of,
    paired_losses,
)
from qtha_lab.studies.comparison.tuning import at_their_best, family

if TYPE_CHECKING:
    from qtha_lab.figures.difference_by_rate import RateDifference

NOWHERE = ModelTask("", "")
WORDS = {"test_loss": "test loss", "eval_loss": "evaluation loss"}


@dataclass(frozen=True)
class Claim:
    """Paired difference between two methods.

    Attributes:
        first: Label of the method whose loss comes first.
        second: Label of the method whose loss is subtracted.
        measure: `test_loss` or `eval_loss`.
        difference: First minus second.
        model_task: The (model, task) pair.
        model_tasks: Number of compared (model, task) pairs; sentences name the pair if above 1.
        neighbours: Differences with one method at its neighbouring rate.
    """

    first: str
    second: str
    measure: str
    difference: PairedDifference
    model_task: ModelTask = NOWHERE
    model_tasks: int = 1
    neighbours: tuple[AtNeighbour, ...] = ()

    @property
    def sentence(self) -> str:
        """Claim as a sentence with its verdict."""
        words = name_in(WORDS[self.measure], self.model_task, self.model_tasks)
        return verdict_sentence(self.first, self.second, self.difference, words)

    def plain(self) -> dict[str, Any]:
        """Return the claim as plain data for JSON."""
        of = self.difference
        names = {"first": self.first, "second": self.second, "measure": self.measure}
        verdict = {
            "verdict": of.verdict,
            "is_within_margin": of.is_within_margin,
            "effect_size": of.effect_size,
            "detectable": of.detectable,
            "seed_error": of.seed_error,
            "seeds_to_decide": of.seeds_to_decide,
            "rows_to_decide": of.rows_to_decide,
            "neighbours": [
                {"name": each.name, "rate": each.rate}
                | {part: getattr(each.difference, part) for part in ("mean", "low", "high")}
                for each in self.neighbours
            ],
        }
        return names | self.model_task.fields | vars(of) | verdict | {"sentence": self.sentence}


def against_the_first(
    entries: Sequence[dict[str, Any]],
    items: Mapping[str, TestItems] | None = None,
    margin: float = MARGIN,
) -> list[Claim]:
    """Compare each method to the first of its (model, task) pair.

    Methods need three seeds in common. All claims form one Bonferroni family.
    """
    model_tasks = by_model_task(entries)
    pairs = {model_task: pairs_to_first(of) for model_task, of in model_tasks.items()}
    return claims(entries, pairs, items or {}, len(model_tasks), margin)


class MissingComparison(NamedTuple):
    """Sentence on a method with enough common seeds, but no common loss."""

    first: str
    sentence: str


def without_a_loss(entries: Sequence[dict[str, Any]]) -> list[MissingComparison]:
    """Return the methods with three common seeds but no loss to compare."""
    model_tasks, best = by_model_task(entries), by_model_task(at_their_best(entries))
    missing: list[MissingComparison] = []
    for model_task, in_model_task in model_tasks.items():
        at_best = best.get(model_task, [])
        measure = measure_of(at_best)
        for pair in pairs_to_first(in_model_task):
            sides = _shared(at_best, pair)
            lacking = [losses_of(side, {}, measure) is None for side in sides]
            if len(sides[0]) >= LEAST_SEEDS and any(lacking):
                place = name_in("", model_task, len(model_tasks))
                names = [name for name, lacks in zip(pair, lacking, strict=True) if lacks]
                sentence = (
                    f"{' − '.join(pair)}{place}: not compared. Some runs have no test loss, and"
                    f" some of {' and '.join(names)} no evaluation loss either."
                )
                missing.append(MissingComparison(pair[0], sentence))
    return missing


def pairs_to_first(entries: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return each method with the first one, as labels without learning rate."""
    first, *others = dict.fromkeys(map(family, entries))
    return [(name, first) for name in others]


def claims(
    entries: Sequence[dict[str, Any]],
    pairs: Mapping[ModelTask, Collection[tuple[str, str]]],
    items: Mapping[str, TestItems],
    model_tasks: int = 1,
    margin: float = MARGIN,
) -> list[Claim]:
    """Compute the differences of method pairs as one Bonferroni family.

    Every method has its best learning rate. Omits pairs with fewer than three common seeds. A claim
    is inconclusive if a run of its methods at their best rates has no result.

    Args:
        entries: Entries of all runs.
        pairs: Pairs of labels without learning rate, by (model, task) pair; the second label is
            subtracted.
        items: Test rows by run id.
        model_tasks: Number of (model, task) pairs of the comparison.
        margin: Largest difference that counts as equivalent.
    """
    candidates: list[_PairLosses] = []
    best = at_their_best(entries)
    for model_task, at_best in by_model_task(best).items():
        candidates += _losses(model_task, at_best, pairs.get(model_task, ()), items)
    every, beside = by_model_task(entries), at_neighbours(entries)
    found = []
    for of in candidates:
        difference, neighbours = of.losses.difference(len(candidates), margin), ()
        if difference.excludes_zero:
            neighbours = tuple(_neighbours(of, best, beside, items, len(candidates), margin))
            were_run = _ran_at_several(entries, of)
            difference = with_neighbours(difference, neighbours, were_run)
        difference = replace(difference, lost=lost(every[of.model_task], of.pair))
        found.append(
            Claim(*of.pair, of.measure, difference, of.model_task, model_tasks, neighbours)
        )
    return found


def _neighbours(
    of: _PairLosses,
    entries: Sequence[dict[str, Any]],
    beside: Sequence[dict[str, Any]],
    items: Mapping[str, TestItems],
    count: int,
    margin: float,
) -> Iterator[AtNeighbour]:
    """Yield the difference of a pair with either method at its neighbouring rate."""
    best, near = (by_model_task(side).get(of.model_task, []) for side in (entries, beside))
    for name in of.pair:
        moved = [entry for entry in near if family(entry) == name]
        rest = [entry for entry in best if family(entry) != name]
        losses = losses_of_pair([*rest, *moved], of.pair, items)
        if moved and losses is not None and len(losses.first) >= LEAST_SEEDS:
            difference = losses.difference(count, margin)
            yield AtNeighbour(name, moved[0]["learning_rate"], difference)


def _ran_at_several(entries: Sequence[dict[str, Any]], of: _PairLosses) -> bool:
    """Return True if both methods of a pair ran at several learning rates."""
    of_pair = by_model_task(entries)[of.model_task]
    rates = [{e.get("learning_rate") for e in of_pair if family(e) == name} for name in of.pair]
    return all(len(tried) > 1 for tried in rates)


class _PairLosses(NamedTuple):
    """Losses of two methods on one (model, task) pair."""

    model_task: ModelTask
    pair: tuple[str, str]
    measure: str
    losses: PairedLosses


def _losses(
    model_task: ModelTask,
    entries: Sequence[dict[str, Any]],
    pairs: Iterable[tuple[str, str]],
    items: Mapping[str, TestItems],
) -> Iterator[_PairLosses]:
    """Yield the losses of pairs with enough common seeds, on one (model, task) pair."""
    measure = measure_of(entries)
    for pair in pairs:
        losses = losses_of_pair(entries, pair, items)
        if losses is not None and len(losses.first) >= LEAST_SEEDS:
            yield _PairLosses(model_task, pair, measure, losses)


def losses_of_pair(
    entries: Sequence[dict[str, Any]], pair: Sequence[str], items: Mapping[str, TestItems]
) -> PairedLosses | None:
    """Return the losses of two methods at their common seeds; None if any is missing."""
    return paired_losses(*_shared(entries, pair), items, measure_of(entries))


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


class SharedRate(NamedTuple):
    """Paired difference of two methods at one learning rate; the second is subtracted."""

    pair: tuple[str, str]
    rate: float
    difference: PairedDifference

    def row(self, label: str, place: str = "") -> RateDifference:
        """Return a row of the figure `difference_by_rate`, in the panel of a place."""
        return {
            "label": label,
            "place": place,
            "learning_rate": self.rate,
            "mean": self.difference.mean,
            "low": self.difference.low,
            "high": self.difference.high,
            "verdict": self.difference.verdict,
            "seeds": self.difference.seeds,
        }


def shared_rates(
    entries: Sequence[dict[str, Any]],
    pairs: Sequence[tuple[str, str]],
    items: Mapping[str, TestItems],
    margin: float = MARGIN,
) -> Iterator[SharedRate]:
    """Yield the difference of each pair at each rate with at least three common seeds.

    Rates at which a run of either method diverged are omitted.
    """
    rates = sorted({rate for entry in entries if (rate := entry.get("learning_rate"))})
    for pair in pairs:
        for rate in rates:
            there = [e for e in entries if e.get("learning_rate") == rate and family(e) in pair]
            if any(entry["state"] != "finished" for entry in there):
                continue
            losses = losses_of_pair(there, pair, items)
            if losses is not None and len(losses.first) >= LEAST_SEEDS:
                yield SharedRate(pair, rate, losses.difference(margin=margin))
