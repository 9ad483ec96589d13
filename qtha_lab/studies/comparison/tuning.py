"""Selection of the best learning rate per method, on evaluation rows.

No choice uses the test rows. All functions except `at_their_best` take entries of one model and
task.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from qtha_lab.experiment.description import ModelTask, by_model_task
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
