"""Robustness of claims and tuning to the choice of a learning rate.

The second-best rate of a method is its neighbouring rate if the evaluation losses cannot tell it
from the best one. A difference is shown only if it is shown at the neighbouring rates too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from qtha_lab.runs.table.frame import results_frame
from qtha_lab.studies.comparison.paired import LEAST_SEEDS, PairedDifference, paired_difference
from qtha_lab.studies.comparison.tuning import best_rates, finished_at

if TYPE_CHECKING:
    import pandas

Choice = TypeVar("Choice", float, str)


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


def at_neighbours(runs: pandas.DataFrame) -> pandas.DataFrame:
    """Return the finished runs at the neighbouring rate of their method, per model and task."""
    return finished_at(neighbouring_rates, runs.dropna(subset="learning_rate"))


def neighbouring_rates(runs: pandas.DataFrame) -> dict[str, float]:
    """Return the neighbouring rate of each method that has one, on one (model, task) pair."""
    runs, found = results_frame(runs), {}
    for name, best in best_rates(runs).items():
        rate = second_within_noise(_losses(runs[runs["family"].eq(name)]), best)
        found |= {} if rate is None else {name: rate}
    return found


def second_within_noise(
    losses: Mapping[Choice, Mapping[int, float]], best: Choice
) -> Choice | None:
    """Return the second-best choice if the losses cannot tell it from the best one."""
    chosen = losses.get(best, {})
    others = {c: of for c, of in losses.items() if c != best and len(of) == len(chosen)}
    if not others or len(chosen) < LEAST_SEEDS:
        return None
    second = min(others, key=lambda choice: sum(others[choice].values()))
    is_clear = chosen.keys() == others[second].keys() and above(losses, second, best).is_shown
    return None if is_clear else second


def above(
    losses: Mapping[Choice, Mapping[int, float]], second: Choice, best: Choice
) -> PairedDifference:
    """Return the difference of evaluation losses, second minus best, paired by seed."""
    seeds = losses[best].keys()
    pair = (np.array([losses[choice][seed] for seed in seeds]) for choice in (second, best))
    return paired_difference(*pair)


def trial_sentence(
    name: str, best: Choice, losses: Mapping[Choice, Mapping[int, float]]
) -> str | None:
    """State that a tuned method's second-best choice is within the noise of trials.

    Returns:
        None if the choice is clear, or has fewer than three trial seeds.

    Example:
        >>> trials = {0.01: {0: 2.0, 1: 2.1, 2: 2.2}, 0.03: {0: 2.1, 1: 2.0, 2: 2.3}}
        >>> trial_sentence("lora", 0.01, trials).split(":")[0]
        'lora at 0.03 is as good as at 0.01 within the noise of 3 trial seeds'
    """
    second = second_within_noise(losses, best)
    if second is None:
        return None
    of = above(losses, second, best)
    names = [f"{c:g}" if isinstance(c, float) else c for c in (second, best)]
    return (
        f"{name} at {names[0]} is as good as at {names[1]} within the noise of {of.seeds} trial"
        f" seeds: {of.mean:+.3f} [{of.low:+.3f}, {of.high:+.3f}]."
    )


def _losses(runs: pandas.DataFrame) -> dict[float, dict[int, float]]:
    """Return the evaluation losses of a method by rate and seed, without rates that diverged."""
    diverged = runs["learning_rate"][runs["state"].eq("diverged")]
    whole = runs[~runs["learning_rate"].isin(diverged)].dropna(subset="eval_loss")
    by_rate = whole.set_index("seed").groupby("learning_rate", sort=False)["eval_loss"]
    return {rate: losses.to_dict() for rate, losses in by_rate}


def with_neighbours(
    difference: PairedDifference, neighbours: Sequence[AtNeighbour], were_run: bool
) -> PairedDifference:
    """Return a difference that knows if it is shown at the neighbouring rates."""
    if not were_run:
        return replace(difference, neighbour="not run")
    if not neighbours:
        return replace(difference, neighbour="clear")
    sign = np.sign(difference.mean)
    holds = all(of.difference.is_shown and np.sign(of.difference.mean) == sign for of in neighbours)
    return replace(difference, neighbour="holds" if holds else "fails")


def robustness_sentences(claims: Sequence[Any]) -> Iterator[str]:
    """Yield the differences at neighbouring rates, and the claims without such runs."""
    shown = [claim for claim in claims if claim.difference.excludes_zero]
    words = {"holds": "shown there too", "fails": "not shown there, so inconclusive"}
    for claim in shown:
        if word := words.get(claim.difference.neighbour):
            each = "; ".join(of.sentence for of in claim.neighbours)
            yield f"{claim.first} − {claim.second} at the neighbouring rate: {word} ({each})."
    if any(claim.difference.neighbour == "not run" for claim in shown):
        names = ", ".join(c.first for c in shown if c.difference.neighbour == "not run")
        yield f"Neighbouring rate not run, so shown at the stated rates only: {names}."
