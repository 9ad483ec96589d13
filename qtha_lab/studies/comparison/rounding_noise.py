"""Repeats at starts moved by a rounding: what is repeated, which repeats a claim is held against, and at which rate.

What they make of a difference is `paired.rounding_floor`'s to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qtha_lab.experiment import Experiment
from qtha_lab.experiment.model_task_pairs import Cell, by_cell, name_in
from qtha_lab.studies.comparison.paired import LEAST_REPEATS
from qtha_lab.studies.comparison.tuning import at_their_best, family

Entry = dict[str, Any]


def at_best_rates(
    experiments: Sequence[Experiment], entries: Mapping[int, Entry]
) -> list[Experiment]:
    """The experiments whose runs finished at the best rate of their method: what is to be repeated.

    Args:
        experiments: Of the table.
        entries: Of their runs that have ended, by place.
    """
    best = {entry["run_id"] for entry in at_their_best(list(entries.values()))}
    return [experiments[place] for place in sorted(entries) if entries[place]["run_id"] in best]


def repeats_of(repeats: Sequence[Entry], entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """The repeats that tell what rounding makes of a method, where there are enough, by `name_in` of its label without rate.

    They are those at the rate that the method is compared at. Older comparisons repeated the first
    rate of the file: of such they are those at the rate that has most.

    Args:
        repeats: Entries of runs of one seed whose starts were moved.
        entries: Of the table's runs.
    """
    best, cells = _rates(entries), len(by_cell([*entries, *repeats]))
    by_rate: dict[tuple[Cell, str], dict[float, list[Entry]]] = {}
    for entry in repeats:
        if entry["state"] == "finished" and "test_loss" in entry:
            of_method = by_rate.setdefault((Cell.of(entry), family(entry)), {})
            of_method.setdefault(entry["learning_rate"], []).append(entry)
    chosen = {}
    for place, of_method in by_rate.items():
        at_best = of_method.get(best.get(place, 0.0), [])
        group = at_best if len(at_best) >= LEAST_REPEATS else max(of_method.values(), key=len)
        if len(group) >= LEAST_REPEATS:
            chosen[name_in(place[1], place[0], cells)] = group
    return chosen


def losses(repeats: Mapping[str, Sequence[Entry]]) -> dict[str, list[float]]:
    """The test losses of the repeats of each method."""
    return {name: [entry["test_loss"] for entry in group] for name, group in repeats.items()}


def sentence(rates: Mapping[str, float], entries: Sequence[Entry]) -> str | None:
    """Of which methods rounding was measured at another rate than they are compared at; None if of none.

    Args:
        rates: At which it was measured, by `name_in` of the label without rate.
        entries: Of the table's runs.
    """
    cells = len(by_cell(entries))
    best = {name_in(name, cell, cells): rate for (cell, name), rate in _rates(entries).items()}
    others: dict[str, list[str]] = {}
    for name, rate in rates.items():
        if best.get(name, rate) != rate:
            others.setdefault(f"at {rate:g}, not {best[name]:g}", []).append(name)
    if not others:
        return None
    each = "; ".join(f"{where}, of {', '.join(names)}" for where, names in others.items())
    return f"What rounding makes was measured at another rate than methods are compared at: {each}."


def _rates(entries: Sequence[Entry]) -> dict[tuple[Cell, str], float]:
    """The rate that each method is compared at, in each cell."""
    best = at_their_best(entries)
    return {
        (Cell.of(entry), family(entry)): entry["learning_rate"]
        for entry in best
        if "learning_rate" in entry
    }
