"""Figure points from the arms of a verdict."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

Points = list[dict[str, Any]]
BITS = re.compile(r"\bw=(\d+)")
OF_ARM = re.compile(r"_w(\d+)")


def energies_of(verdict: Mapping[str, Any]) -> Points:
    """Return points of `figures.start_energy` from a verdict of `synergy`.

    Its arms with a tensor network are called `chi…`.

    Example:
        >>> entry = {"seed": 0, "start_error": 0.1, "energy_error": 0.01, "gradient_decay": 1.2}
        >>> [point["bond"] for point in energies_of({"arms": {"chi4": [entry], "small": [entry]}})]
        [4, None]
    """
    points = []
    for arm, entries in verdict["arms"].items():
        bond = int(arm.removeprefix("chi")) if arm.startswith("chi") else None
        label = arm if bond is None else f"bond {bond}"
        names = ("seed", "start_error", "energy_error", "gradient_decay")
        points += [{"label": label, "bond": bond} | {n: e[n] for n in names} for e in entries]
    return points


def rounded_of(verdict: Mapping[str, Any], bits: int | None = None) -> Points:
    """Return points of `figures.perplexity_by_bits` from the arms of a verdict.

    Each has the bits of its weights and exp of its evaluation loss.

    Example:
        >>> entry = {"seed": 0, "quantization": "round(w=3)", "eval_loss": 0.0}
        >>> rounded_of({"arms": {"grid_w3": [entry]}})
        [{'label': 'grid', 'bits': 3, 'seed': 0, 'perplexity': 1.0}]
    """
    points = []
    for arm, entries in verdict["arms"].items():
        for entry in entries:
            match = BITS.search(entry.get("quantization", "")) or OF_ARM.search(arm)
            points.append(
                {
                    "label": re.sub(r"_w\d+$", "", arm),
                    "bits": int(match[1]) if match else bits,
                    "seed": entry["seed"],
                    "perplexity": math.exp(entry["eval_loss"]),
                }
            )
    return points


def searches_of(verdict: Mapping[str, Any]) -> Points:
    """Return points of `figures.search_scatter` from a verdict of `architecture_search`.

    Example:
        >>> searches_of({"arms": {"search": [{"seed": 0, "cnots": 4, "accuracy": 0.8}]}})
        [{'label': 'search', 'n_cnots': 4, 'seed': 0, 'accuracy': 0.8}]
    """
    return [
        {
            "label": arm,
            "n_cnots": entry["cnots"],
            "seed": entry["seed"],
            "accuracy": entry["accuracy"],
        }
        for arm, entries in verdict["arms"].items()
        for entry in entries
    ]


def budget_of(verdict: Mapping[str, Any], data: str = "") -> list[dict[str, Any]]:
    """Return test accuracies by arm, qubits and seed.

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
