"""Runs without a result and outlying seeds, which limit the claims.

A run that diverged, failed or was stopped is an outcome of its method. A claim over the remaining
runs would be one over survivors. Sentences of `compare`, `explain`, reports and the page are these.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from qtha_lab.core.io.text import shortened
from qtha_lab.experiment.description import by_model_task, name_in
from qtha_lab.experiment.run_directory.events import TERMINAL
from qtha_lab.studies.comparison.tuning import at_their_best, family

Entry = Mapping[str, Any]
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


def outcomes(entries: Sequence[dict[str, Any]]) -> list[str]:
    """State the runs without a result: one sentence per method and state.

    Example:
        >>> runs = [{"label": "qtha", "method": "qtha", "seed": s} for s in range(4)]
        >>> states = ["finished", "finished", "diverged", "finished"]
        >>> outcomes([run | {"state": state} for run, state in zip(runs, states)])
        ['1 of 4 runs of qtha diverged (seed 2).']
    """
    model_tasks = by_model_task(entries)
    return [
        sentence
        for model_task, of in model_tasks.items()
        for label, by_seed in _by_seed(of).items()
        for sentence in _sentences(name_in(label, model_task, len(model_tasks)), by_seed.values())
    ]


def _by_seed(entries: Iterable[dict[str, Any]]) -> dict[str, dict[int, Entry]]:
    """Group entries by name of the method and seed.

    A seed has its finished entry, or else its last one. The name has the learning rate only where
    the method ran at several.
    """
    groups: dict[str, dict[int, Entry]] = {}
    families: dict[str, str] = {}
    for entry in entries:
        families[entry["label"]] = family(entry)
        by_seed = groups.setdefault(entry["label"], {})
        if by_seed.get(entry["seed"], {}).get("state") != "finished":
            by_seed[entry["seed"]] = entry
    several = [*families.values()]
    return {
        label if several.count(families[label]) > 1 else families[label]: of
        for label, of in groups.items()
    }


def lost(entries: Sequence[dict[str, Any]], names: Iterable[str]) -> int:
    """Count the seeds without a result among the runs of methods at their best rates.

    Args:
        entries: Entries of all runs on one (model, task) pair.
        names: Labels of the methods without learning rate.
    """
    count = 0
    for name in names:
        of = [entry for entry in entries if family(entry) == name]
        best = at_their_best(of)
        labels = {entry["label"] for entry in best or of}
        seeds = {entry["seed"] for entry in of if entry["label"] in labels}
        count += len(seeds - {entry["seed"] for entry in best})
    return count


def _sentences(name: str, entries: Collection[Entry]) -> list[str]:
    """State the runs of one method by their state, with their common reason."""
    by_state: dict[str, list[Entry]] = {}
    for entry in entries:
        state = entry["state"] if entry["state"] in TERMINAL else OPEN
        by_state.setdefault(state, []).append(entry)
    return [
        f"{len(of)} of {len(entries)} runs of {name}"
        f" {VERBS[state][len(of) > 1]} ({_seeds(of)}){_reason(state, of)}."
        for state, of in by_state.items()
        if state != "finished"
    ]


def _seeds(entries: Iterable[Entry]) -> str:
    seeds = sorted({entry["seed"] for entry in entries})
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def _reason(state: str, entries: Iterable[Entry]) -> str:
    """Return the message that all runs share, after a colon.

    A run that goes on has none.
    """
    if state == OPEN:
        return ""
    reasons = {str(entry.get("message") or "") for entry in entries}
    reason = next(iter(reasons)) if len(reasons) == 1 else ""
    reason = reason.removeprefix(state).strip(" :.")
    return f": {shortened(reason)}" if reason else ""


class OutlyingSeed(NamedTuple):
    """Seed of a method, its loss, and the mean loss of the other seeds."""

    name: str
    seed: int
    loss: float
    others: float


def outlying_seeds(entries: Sequence[dict[str, Any]]) -> list[OutlyingSeed]:
    """Return the outlying seed of each method on one (model, task) pair that has one.

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
    if count < LEAST_OF_OUTLIER or not (spread := statistics.stdev(losses.values())):
        return None
    from scipy import special  # not where a page is opened

    mean = statistics.fmean(losses.values())
    seed = max(losses, key=lambda each: abs(losses[each] - mean))
    t = -float(special.stdtrit(count - 2, LEVEL / (2 * count)))
    limit = (count - 1) / math.sqrt(count) * math.sqrt(t**2 / (count - 2 + t**2))
    return seed if abs(losses[seed] - mean) > limit * spread else None
