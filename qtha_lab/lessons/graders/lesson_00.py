"""Checks of lesson 0: a waist at which QTHA has the size of LoRA."""

from collections.abc import Mapping
from typing import Any


def _fits(state: Mapping[str, Any], waist: int = 0) -> bool:
    from qtha_lab.analysis.parameter_budget import lora_budget, qtha_budget

    options = {name: state[name] for name in ("r", "bond_dim", "n_layers")}
    qtha = qtha_budget(state["model"], waist=waist or state["waist"], **options)
    return qtha.total <= lora_budget(state["model"], state["lora_r"]).total


def _is_largest(state: Mapping[str, Any]) -> bool:
    from qtha_lab.adapters.qtha_config import GRID

    larger = [waist for waist in GRID["waist"] if waist > state["waist"]]
    return not larger or not _fits(state, larger[0])
