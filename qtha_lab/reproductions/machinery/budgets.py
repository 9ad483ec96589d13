"""Points of `figures.qubit_budget` from arms that differ in their qubits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def budget_of(verdict: Mapping[str, Any], data: str = "") -> list[dict[str, Any]]:
    """Return test accuracies by arm, qubits and seed.

    Args:
        verdict: `verdict.json` of a reproduction with arms `kind_qubits` or `kind_qubits_data`.
        data: Data name, where there are several; arms of other data are omitted.

    Example:
        >>> entry = {"seed": 0, "test_accuracy": 0.5}
        >>> arms = {"pca_2_36": [entry], "linear_36": [entry], "pca_2_39": [entry]}
        >>> budget_of({"arms": arms}, data="36")
        [{'label': 'pca', 'n_qubits': 2, 'seed': 0, 'test_accuracy': 0.5}, {'label': 'linear',
        'n_qubits': None, 'seed': 0, 'test_accuracy': 0.5}]
    """
    points = []
    for arm, entries in verdict["arms"].items():
        kind, *rest = arm.split("_")
        if data:
            if rest[-1:] != [data]:
                continue
            rest = rest[:-1]
        n = int(rest[0]) if rest else None
        points += [
            {
                "label": kind,
                "n_qubits": n,
                "seed": entry["seed"],
                "test_accuracy": entry["test_accuracy"],
            }
            for entry in entries
        ]
    return points
