"""Robustness of claims to the choice of a learning rate.

The second-best rate of a method is its neighbouring rate if the evaluation losses cannot tell it
from the best one. A difference is shown only if it is shown at the neighbouring rates too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from qtha_lab.experiment.model_task_pairs import by_model_task
from qtha_lab.studies.comparison.paired import LEAST_SEEDS, PairedDifference, paired_difference
from qtha_lab.studies.comparison.tuning import best_rates, family

Entry = dict[str, Any]


class AtNeighbour(NamedTuple):
    """Difference of a claim with one method at its neighbouring rate.

    Attributes:
        name: Label of the method without its learning rate.
        rate: Its neighbouring rate.
        difference: First minus second.
    """

    name: str
    rate: float
    difference: PairedDifference

    @property
    def sentence(self) -> str:
        """Difference in words."""
        of = self.difference
        return (
            f"{self.name} at {self.rate:g}, as good within the noise of the choice: {of.mean:+.3f}"
            f" [{of.low:+.3f}, {of.high:+.3f}]"
        )


def at_neighbours(entries: Sequence[Entry]) -> list[Entry]:
    """Return the finished runs at the neighbouring rate of their method, per model and task."""
    found = []
    for of_pair in by_model_task(entries).values():
        rates = neighbouring_rates(of_pair)
        found += [e for e in of_pair if rates.get(family(e)) == e.get("learning_rate", "")]
    return [entry for entry in found if entry["state"] == "finished"]


def neighbouring_rates(entries: Sequence[Entry]) -> dict[str, float]:
    """Return the neighbouring rate of each method that has one, on one (model, task) pair.

    Args:
        entries: Entries of ended runs at all rates.
    """
    best, found = best_rates(entries), {}
    for name in best:
        by_rate = _losses(entries, name)
        if best[name] not in by_rate:
            continue
        chosen = by_rate.pop(best[name])
        others = {rate: of for rate, of in by_rate.items() if len(of) == len(chosen)}
        if others and len(chosen) >= LEAST_SEEDS:
            second = min(others, key=lambda rate: sum(others[rate].values()))
            if not _is_clear(chosen, others[second]):
                found[name] = second
    return found


def _losses(entries: Sequence[Entry], name: str) -> dict[float, dict[int, float]]:
    """Return the evaluation losses of a method by rate and seed, without rates that diverged."""
    losses: dict[float, dict[int, float]] = {}
    diverged = set()
    for entry in entries:
        if family(entry) != name or "learning_rate" not in entry:
            continue
        if entry["state"] == "diverged":
            diverged.add(entry["learning_rate"])
        elif entry.get("eval_loss") is not None:
            losses.setdefault(entry["learning_rate"], {})[entry["seed"]] = entry["eval_loss"]
    return {rate: of for rate, of in losses.items() if rate not in diverged}


def _is_clear(chosen: dict[int, float], second: dict[int, float]) -> bool:
    """Return True if the evaluation losses show that the chosen rate is better."""
    if chosen.keys() != second.keys():
        return False
    pair = (np.array([of[seed] for seed in chosen]) for of in (second, chosen))
    return paired_difference(*pair).is_shown


def with_neighbours(
    difference: PairedDifference, neighbours: Sequence[AtNeighbour], were_run: bool
) -> PairedDifference:
    """Return a difference that knows if it is shown at the neighbouring rates.

    Args:
        difference: Difference with each method at its best rate.
        neighbours: The same at neighbouring rates; empty if the choice of both rates is clear.
        were_run: True if both methods ran at several rates.
    """
    if not were_run:
        return replace(difference, neighbour="not run")
    if not neighbours:
        return replace(difference, neighbour="clear")
    sign = np.sign(difference.mean)
    holds = all(of.difference.is_shown and np.sign(of.difference.mean) == sign for of in neighbours)
    return replace(difference, neighbour="holds" if holds else "fails")


def robustness_sentences(claims: Sequence[Any]) -> Iterator[str]:
    """Yield the differences at neighbouring rates, and the claims without such runs.

    Args:
        claims: Claims, see `claims.Claim`.
    """
    shown = [claim for claim in claims if claim.difference.excludes_zero]
    words = {"holds": "shown there too", "fails": "not shown there, so inconclusive"}
    for claim in shown:
        if word := words.get(claim.difference.neighbour):
            each = "; ".join(of.sentence for of in claim.neighbours)
            yield f"{claim.first} − {claim.second} at the neighbouring rate: {word} ({each})."
    if any(claim.difference.neighbour == "not run" for claim in shown):
        names = ", ".join(c.first for c in shown if c.difference.neighbour == "not run")
        yield f"Neighbouring rate not run, so shown at the stated rates only: {names}."
