"""Claims of a comparison: paired difference of each method to the first, with verdict.

Every method uses its best learning rate. The loss is the test loss per row, paired by row, where
all runs have it; runs without test loss are compared by evaluation loss. A table over all models
and tasks makes m claims. Each interval has level 1 - 0.05/m and each p is multiplied by m
(Bonferroni). All intervals of the table then hold simultaneously with 95 %.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from qtha_lab.experiment.description import ModelTask, name_in
from qtha_lab.runs.table.frame import results_frame
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
from qtha_lab.studies.comparison.tuning import at_their_best

if TYPE_CHECKING:
    import pandas

    from qtha_lab.figures.difference_by_rate import RateDifference
    from qtha_lab.studies.comparison.tuning import Runs

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
    runs: Runs, items: Mapping[str, TestItems] | None = None, margin: float = MARGIN
) -> list[Claim]:
    """Compare each method to the first of its (model, task) pair.

    Methods need three seeds in common. All claims form one Bonferroni family.
    """
    runs = results_frame(runs)
    pairs = {pair: pairs_to_first(of) for pair, of in runs.groupby("model_task", sort=False)}
    return claims(runs, pairs, items or {}, len(pairs), margin)


class MissingComparison(NamedTuple):
    """Sentence on a method with enough common seeds, but no common loss."""

    first: str
    sentence: str


def without_a_loss(runs: Runs) -> list[MissingComparison]:
    """Return the methods with three common seeds but no loss to compare."""
    runs = results_frame(runs)
    best, pairs = at_their_best(runs), runs.groupby("model_task", sort=False)
    missing: list[MissingComparison] = []
    for model_task, of_pair in pairs:
        at_best = best[best["model_task"].eq(model_task)]
        measure = measure_of(at_best)
        for pair in pairs_to_first(of_pair):
            sides = _shared(at_best, pair)
            lacking = [losses_of(side, {}, measure) is None for side in sides]
            if len(sides[0]) >= LEAST_SEEDS and any(lacking):
                place = name_in("", model_task, len(pairs))
                names = [name for name, lacks in zip(pair, lacking, strict=True) if lacks]
                sentence = (
                    f"{' − '.join(pair)}{place}: not compared. Some runs have no test loss, and"
                    f" some of {' and '.join(names)} no evaluation loss either."
                )
                missing.append(MissingComparison(pair[0], sentence))
    return missing


def pairs_to_first(runs: Runs) -> list[tuple[str, str]]:
    """Return each method with the first one, as labels without learning rate."""
    first, *others = results_frame(runs)["family"].unique()
    return [(name, first) for name in others]


def claims(
    runs: Runs,
    pairs: Mapping[ModelTask, Collection[tuple[str, str]]],
    items: Mapping[str, TestItems],
    model_tasks: int = 1,
    margin: float = MARGIN,
) -> list[Claim]:
    """Compute the differences of method pairs as one Bonferroni family.

    Every method has its best learning rate. Omits pairs with fewer than three common seeds. A claim
    is inconclusive if a run of its methods at their best rates has no result. The losses of the
    second label of a pair are subtracted.
    """
    runs = results_frame(runs)
    best, near = at_their_best(runs), at_neighbours(runs)
    candidates = [
        (model_task, pair, at_best, losses)
        for model_task, at_best in best.groupby("model_task", sort=False)
        for pair in pairs.get(model_task, ())
        if (losses := losses_of_pair(at_best, pair, items)) is not None
    ]
    found = []
    for model_task, pair, at_best, losses in candidates:
        difference, neighbours = losses.difference(len(candidates), margin), ()
        of_pair = runs[runs["model_task"].eq(model_task) & runs["family"].isin(pair)]
        if difference.excludes_zero:
            beside = near[near["model_task"].eq(model_task)]
            differences = _neighbours(pair, at_best, beside, items, len(candidates), margin)
            neighbours = tuple(differences)
            tried = of_pair.groupby("family")["learning_rate"].nunique(dropna=False)
            difference = with_neighbours(difference, neighbours, bool(tried.min() > 1))
        difference = replace(difference, lost=lost(of_pair, pair))
        measure = measure_of(at_best)
        found.append(Claim(*pair, measure, difference, model_task, model_tasks, neighbours))
    return found


def _neighbours(
    pair: tuple[str, str],
    best: pandas.DataFrame,
    near: pandas.DataFrame,
    items: Mapping[str, TestItems],
    count: int,
    margin: float,
) -> Iterator[AtNeighbour]:
    """Yield the difference of a pair with either method at its neighbouring rate."""
    import pandas

    for name in pair:
        moved = near[near["family"].eq(name)]
        runs = pandas.concat([best[best["family"].ne(name)], moved])
        if len(moved) and (losses := losses_of_pair(runs, pair, items)) is not None:
            rate = moved["learning_rate"].iloc[0]
            yield AtNeighbour(name, rate, losses.difference(count, margin))


def losses_of_pair(
    runs: Runs, pair: Sequence[str], items: Mapping[str, TestItems]
) -> PairedLosses | None:
    """Return the losses of two methods; None without three common seeds or all losses."""
    runs = results_frame(runs)
    first, second = _shared(runs, pair)
    if len(first) < LEAST_SEEDS:
        return None
    return paired_losses(first, second, items, measure_of(runs))


def _shared(
    runs: pandas.DataFrame, pair: Sequence[str]
) -> tuple[pandas.DataFrame, pandas.DataFrame]:
    """Return the runs of two methods with common seeds, ordered by seed."""
    first, second = (
        runs[runs["family"].eq(name)].drop_duplicates("seed", keep="last").sort_values("seed")
        for name in pair
    )
    return first[first["seed"].isin(second["seed"])], second[second["seed"].isin(first["seed"])]


def measure_of(runs: Runs) -> str:
    """Return "test_loss" if all runs have one, else "eval_loss"."""
    tested = results_frame(runs)["test_loss"].notna()
    return "test_loss" if len(tested) and tested.all() else "eval_loss"


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
    runs: Runs,
    pairs: Sequence[tuple[str, str]],
    items: Mapping[str, TestItems],
    margin: float = MARGIN,
) -> Iterator[SharedRate]:
    """Yield the difference of each pair at each rate with at least three common seeds.

    Rates at which a run of either method diverged are omitted.
    """
    runs = results_frame(runs)
    for pair in pairs:
        for rate, at_rate in runs[runs["family"].isin(pair)].groupby("learning_rate"):
            if at_rate["state"].eq("finished").all():
                losses = losses_of_pair(at_rate, pair, items)
                if losses is not None:
                    yield SharedRate(pair, rate, losses.difference(margin=margin))
