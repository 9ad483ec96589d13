"""Pairs of a method and its own classical control among the runs of a comparison."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from qtha_lab.adapters.registry import controls_of
from qtha_lab.experiment.description import ModelTask, by_model_task
from qtha_lab.experiment.method_choice import MethodChoice
from qtha_lab.studies.comparison.claims import Claim, claims
from qtha_lab.studies.comparison.row_losses import TestItems
from qtha_lab.studies.comparison.tuning import family


def control_pairs(entries: Iterable[dict[str, Any]]) -> dict[ModelTask, list[tuple[str, str]]]:
    """Return the labels of methods with those of their controls, by (model, task) pair.

    Leaves out pairs with the first method, to which every method is compared anyway.
    """
    return {model_task: _pairs(of) for model_task, of in by_model_task(entries).items()}


def against_their_controls(
    entries: Sequence[dict[str, Any]], items: Mapping[str, TestItems]
) -> list[Claim]:
    """Compare methods to their own controls, as one Bonferroni family.

    Args:
        entries: Entries of all runs.
        items: Test rows by run id, for the runs that have them.
    """
    pairs = control_pairs(entries)
    return claims(entries, pairs, items, len(pairs))


def _pairs(entries: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    choices = {
        family(dict(entry)): MethodChoice(
            name=entry["method"],
            options=entry.get("options", {}),
            target_modules=entry.get("target_modules"),
        )
        for entry in entries
    }
    by_meaning = {choice.meaning: name for name, choice in choices.items()}
    first = next(iter(choices), "")
    return [
        (name, by_meaning[meaning])
        for name, choice in choices.items()
        for control in controls_of(choice.name, choice.options)
        for meaning in [choice.replace(name=control.method, options=control.options).meaning]
        if by_meaning.get(meaning, first) != first and name != first
    ]
