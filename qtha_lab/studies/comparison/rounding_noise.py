"""Rounding noise of a comparison, measured by repeats with 1-ulp perturbations.

A diagnostic only; no verdict depends on it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from scipy import special

from qtha_lab.experiment import Experiment
from qtha_lab.experiment.description import ModelTask, by_model_task, name_in
from qtha_lab.studies.comparison.tuning import at_their_best, family

LEAST_REPEATS = 5
Entry = dict[str, Any]


def at_best_rates(
    experiments: Sequence[Experiment], entries: Mapping[int, Entry]
) -> list[Experiment]:
    """Return the experiments to repeat: finished runs at the best learning rates."""
    best = {entry["run_id"] for entry in at_their_best(list(entries.values()))}
    return [experiments[place] for place in sorted(entries) if entries[place]["run_id"] in best]


def repeats_of(repeats: Sequence[Entry], entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Return the usable 1-ulp perturbation runs of each method.

    The keys are `name_in` of the method label without learning rate. A method needs at least five
    repeats.

    The repeats use the learning rate at which the method is compared. Older comparisons repeated
    the first rate of the file; for them the rate with most repeats counts.
    """
    best, model_tasks = _rates(entries), len(by_model_task([*entries, *repeats]))
    by_rate: dict[tuple[ModelTask, str], dict[float, list[Entry]]] = {}
    for entry in repeats:
        if entry["state"] == "finished" and "test_loss" in entry:
            of_method = by_rate.setdefault((ModelTask.of(entry), family(entry)), {})
            of_method.setdefault(entry["learning_rate"], []).append(entry)
    chosen = {}
    for place, of_method in by_rate.items():
        at_best = of_method.get(best.get(place, 0.0), [])
        group = at_best if len(at_best) >= LEAST_REPEATS else max(of_method.values(), key=len)
        if len(group) >= LEAST_REPEATS:
            chosen[name_in(place[1], place[0], model_tasks)] = group
    return chosen


def losses(repeats: Mapping[str, Sequence[Entry]]) -> dict[str, list[float]]:
    """Return the test losses of the repeats of each method."""
    return {name: [entry["test_loss"] for entry in group] for name, group in repeats.items()}


def noise_sentence(losses: Mapping[str, Sequence[float]], seeds: int) -> str | None:
    """State the largest effect of rounding noise on a difference; None without repeats.

    Example:
        >>> noise_sentence({"lora": [4.1, 4.1, 4.1, 4.1, 4.1001]}, seeds=5)
        'Rounding noise: 1-ulp perturbations change a difference by at most ±0.0001 nat (1 method).'
    """
    if not losses or not seeds:
        return None
    widths = [
        -float(special.stdtrit(len(values) - 1, 0.025)) * statistics.stdev(values)
        for values in losses.values()
    ]
    methods = "1 method" if len(losses) == 1 else f"{len(losses)} methods"
    return (
        "Rounding noise: 1-ulp perturbations change a difference by at most "
        f"±{max(widths) * math.sqrt(2 / seeds):.4f} nat ({methods})."
    )


def _rates(entries: Sequence[Entry]) -> dict[tuple[ModelTask, str], float]:
    """Return the compared learning rate of each method, by (model, task) pair."""
    best = at_their_best(entries)
    return {
        (ModelTask.of(entry), family(entry)): entry["learning_rate"]
        for entry in best
        if "learning_rate" in entry
    }
