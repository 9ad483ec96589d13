"""Selection of the best learning rate per method, and rounding noise at these rates.

No choice uses the test rows, and no verdict the rounding noise. All functions except
`at_their_best` take entries of one model and task.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from qtha_lab.experiment import Experiment
from qtha_lab.experiment.description import ModelTask, by_model_task, name_in
from qtha_lab.experiment.method_choice import MethodChoice

Entry = dict[str, Any]


def family(entry: Entry) -> str:
    """Return the label of a run without its learning rate.

    Example:
        >>> family({"method": "lora", "options": {"r": 2}, "label": "lora(r=2,learning_rate=0.01)"})
        'lora(r=2)'
    """
    if "options" not in entry:
        return entry["label"]
    layers = entry.get("target_modules")
    return MethodChoice(name=entry["method"], options=entry["options"], target_modules=layers).label


def rates(entries: Sequence[Entry]) -> dict[str, dict[float, list[float]]]:
    """Return evaluation losses by label without learning rate, then by rate, ascending.

    Args:
        entries: Entries of runs that finished or diverged; a diverged run has infinite loss.
    """
    losses: dict[str, dict[float, list[float]]] = {}
    for entry in entries:
        value = float("inf") if entry["state"] == "diverged" else entry.get("eval_loss")
        if value is not None and "learning_rate" in entry:
            by_rate = losses.setdefault(family(entry), {})
            by_rate.setdefault(entry["learning_rate"], []).append(value)
    return {name: dict(sorted(by_rate.items())) for name, by_rate in losses.items()}


def best_rates(entries: Sequence[Entry]) -> dict[str, float]:
    """Return the learning rate with the lowest mean evaluation loss, per method.

    Only learning rates with the most seeds are candidates.
    """
    best = {}
    for name, by_rate in rates(entries).items():
        most = max(map(len, by_rate.values()))
        means = {r: statistics.fmean(v) for r, v in by_rate.items() if len(v) == most}
        best[name] = min(means, key=means.__getitem__)
    return best


def at_their_best(entries: Sequence[Entry]) -> list[Entry]:
    """Return finished runs at their method's best learning rate, per model and task."""
    best = {
        model_task: best_rates(in_model_task)
        for model_task, in_model_task in by_model_task(entries).items()
    }
    return [
        entry
        for entry in entries
        if entry["state"] == "finished"
        and best[ModelTask.of(entry)].get(family(entry)) == entry.get("learning_rate")
    ]


def rates_sentence(entries: Sequence[Entry]) -> str | None:
    """State the selected learning rates, the number tried, and selections at a range end.

    Returns None if each method ran at one rate.
    """
    tried = {name: list(by_rate) for name, by_rate in rates(entries).items()}
    counts = {len(values) for values in tried.values()}
    if not counts or counts == {1}:
        return None
    best = best_rates(entries)
    chosen = ", ".join(f"{name} {best[name]:g}" for name in tried)
    among = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else f"{min(counts)}"
    text = (
        f"Learning rates were chosen on evaluation rows, among {among} for each method: {chosen}."
    )
    if len(counts) > 1:
        text += " A method that is tried at more rates is favoured."
    at_end = [
        n for n, values in tried.items() if len(values) > 1 and best[n] in (values[0], values[-1])
    ]
    if at_end:
        text += f" At an end of what was tried, so perhaps not the best: {', '.join(at_end)}."
    return text


LEAST_REPEATS = 5


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
    from scipy import special  # not where a page is opened

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
