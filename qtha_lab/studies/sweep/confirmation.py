"""Confirmation of a sweep: compare the best trial of each method with fresh seeds.

The best of many trials is selected on the seeds of the sweep, so its value is biased.
`qtha_lab.launch` starts the comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison, Sweep


def confirmation(described: Sweep, best: Mapping[str, TrialRecord], n_seeds: int = 3) -> Comparison:
    """Describe a comparison of each method's best trial, with seeds unused in trials.

    Raises:
        Refusal: If a method has no complete trial, the best trials differ in training, rows or
            model, or `n_seeds` is below 1.

    Example:
        >>> sweep = Sweep(methods="lora,qtha", axes={"learning_rate": [0.003, 0.01]}, seeds=[0, 1])
        >>> point = {"learning_rate": 0.01}
        >>> bests = {n: TrialRecord(n, 0, "complete", point, 4.1, []) for n in ("lora", "qtha")}
        >>> compared = confirmation(sweep, bests)
        >>> [method.label for method in compared.methods], compared.seeds
        (['lora(learning_rate=0.01)', 'qtha(learning_rate=0.01)'], [2, 3, 4])
    """
    if n_seeds < 1:
        raise Refusal(f"n_seeds must be at least 1, got {n_seeds}.")
    placed = []
    for method in described.methods:
        if method.label not in best:
            raise Refusal(f"{method.label} has no finished trial to confirm.")
        placed.append(described.placed_at(method, best[method.label].point))
    terms = [fields | {"training": training} for fields, _, training in placed]
    _refuse_other_terms(described, terms)
    first = max(described.seeds) + 1
    return Comparison(
        **terms[0],
        methods=[choice for _, choice, _ in placed],
        seeds=list(range(first, first + n_seeds)),
    )


def _refuse_other_terms(described: Sweep, terms: list[dict]) -> None:
    """Refuse best trials that differ in training length, rows, model or other shared fields."""
    flat = [{**term, **term["training"].model_dump()} for term in terms]
    for name, value in flat[0].items():
        for method, other in zip(described.methods, flat, strict=True):
            if name != "training" and other[name] != value:
                raise Refusal(
                    f"Best trials of compared methods must have the same {name}, got {value} "
                    f"for {described.methods[0].label} and {other[name]} for {method.label}."
                )


@dataclass(frozen=True)
class TrialRecord:
    """Tuning trial with its point on the axes, state, objective and runs.

    Attributes:
        method: Label of the method, without the swept settings.
        number: Index of the trial among those of its method.
        state: "running", "complete", "pruned" or "failed".
        point: The value of each axis.
        value: Objective, averaged over the seeds; infinite if a run diverged, None before the end.
        runs: Ids of the runs, one per seed.
        message: Reason of a failure.
    """

    method: str
    number: int
    state: str
    point: dict[str, Any]
    value: float | None
    runs: list[str]
    message: str = ""
