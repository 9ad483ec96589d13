"""Runs without a result and outlying seeds, which limit the claims.

A run that diverged, failed or was stopped is an outcome of its method. A claim over the remaining
runs would be one over survivors. Sentences of `compare`, `explain`, reports and the page are these.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from qtha_lab.core.io.text import shortened
from qtha_lab.experiment.description import name_in
from qtha_lab.experiment.run_directory.events import TERMINAL
from qtha_lab.runs.table.frame import results_frame
from qtha_lab.studies.comparison.tuning import at_their_best

if TYPE_CHECKING:
    import pandas

LEAST_OF_OUTLIER = 4
LEVEL = 0.01  # chance to name a seed of a method with normal losses
OPEN = "open"  # every state before the end of a run
VERBS = {
    "diverged": ("diverged", "diverged"),
    "failed": ("failed", "failed"),
    "dead": ("ended without a result", "ended without a result"),
    "unreadable": ("has no readable result", "have no readable result"),
    "stopped": ("was stopped", "were stopped"),
    OPEN: ("has not finished yet", "have not finished yet"),
}
"""Verbs of a state, for one run and for several."""


def outcomes(runs: pandas.DataFrame) -> list[str]:
    """State the runs without a result: one sentence per method and state.

    A seed has its finished run, or else its last one. A method is named with its learning rate only
    where it ran at several.

    Example:
        >>> runs = [{"label": "qtha", "method": "qtha", "seed": s} for s in range(4)]
        >>> states = ["finished", "finished", "diverged", "finished"]
        >>> outcomes([run | {"state": state} for run, state in zip(runs, states)])
        ['1 of 4 runs of qtha diverged (seed 2).']
    """
    runs = results_frame(runs)
    order = runs["state"].eq("finished").sort_values(kind="stable").index
    runs = runs.loc[order].drop_duplicates(["model_task", "label", "seed"], keep="last")
    pairs = runs.sort_index().groupby("model_task", sort=False)
    sentences = []
    for pair, of_pair in pairs:
        labels = of_pair.groupby("family")["label"].nunique()
        for label, of in of_pair.groupby("label", sort=False):
            name = of["family"].iloc[0]
            name = label if labels[name] > 1 else name
            sentences += _sentences(name_in(name, pair, len(pairs)), of)
    return sentences


def lost(runs: pandas.DataFrame, best: pandas.DataFrame) -> int:
    """Count the seeds without a result among the runs of methods at their best rates."""
    place = ["family", "seed"]
    compared = runs["label"].isin(best["label"]) | ~runs["family"].isin(best["family"])
    seeds = runs[place][compared].drop_duplicates()
    return len(seeds) - len(best[place].drop_duplicates())


def _sentences(name: str, runs: pandas.DataFrame) -> Iterator[str]:
    """State the runs of one method by their state, with their common reason."""
    states = runs["state"].where(runs["state"].isin(TERMINAL), OPEN)
    for state, of in runs[states.ne("finished")].groupby(states, sort=False):
        seeds = sorted({*of["seed"]})
        yield (
            f"{len(of)} of {len(runs)} runs of {name} {VERBS[state][len(of) > 1]}"
            f" (seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))})"
            f"{'' if state == OPEN else _reason(state, of['message'].fillna('').unique())}."
        )


def _reason(state: str, messages: Sequence[str]) -> str:
    """Return the message that all runs share, after a colon."""
    reason = messages[0] if len(messages) == 1 else ""
    reason = reason.removeprefix(state).strip(" :.")
    return f": {shortened(reason)}" if reason else ""


class OutlyingSeed(NamedTuple):
    """Seed of a method, its loss, and the mean loss of the other seeds."""

    name: str
    seed: int
    loss: float
    others: float


def outlying_seeds(runs: pandas.DataFrame) -> list[OutlyingSeed]:
    """Return the outlying seed of each method on one (model, task) pair that has one.

    Source:
        Grubbs 1950, Annals of Mathematical Statistics 21, 27-58 (two-sided, one outlier).
    """
    best = at_their_best(runs).dropna(subset="test_loss")
    found = []
    for name, of in best.groupby("family", sort=False):
        losses = dict(zip(of["seed"], of["test_loss"], strict=True))
        if (seed := _outlier(losses)) is not None:
            found.append(
                OutlyingSeed(name, seed, losses.pop(seed), statistics.fmean(losses.values()))
            )
    return found


def outlying_sentences(runs: pandas.DataFrame) -> list[str]:
    """Name the methods with an outlying seed."""
    return [
        f"{of.name} has an outlying seed: {of.loss:.3f} with seed {of.seed}, {of.others:.3f} in the"
        " mean of the others. Its mean and interval depend on this run."
        for of in outlying_seeds(runs)
    ]


def _outlier(losses: dict[int, float]) -> int | None:
    """Return the seed whose loss is an outlier by the test of Grubbs."""
    count = len(losses)
    if count < LEAST_OF_OUTLIER or not (spread := statistics.stdev(losses.values())):
        return None
    from scipy import special  # not where a page is opened

    mean = statistics.fmean(losses.values())
    seed = max(losses, key=lambda each: abs(losses[each] - mean))
    t = -float(special.stdtrit(count - 2, LEVEL / (2 * count)))
    limit = (count - 1) / math.sqrt(count) * math.sqrt(t**2 / (count - 2 + t**2))
    return seed if abs(losses[seed] - mean) > limit * spread else None
