"""Trained parameters of QTHA and LoRA by part, for the adapted layers of a model.

Counts tensors of the methods' declarations; allocates no weights.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from qtha_lab.adapters.change import Layer
from qtha_lab.adapters.qtha_config import QthaConfig

CORES, THIN, SQUARE, ANGLES = "tensor networks", "thin A and B", "r × r maps", "angles of circuits"
PARTS = (CORES, THIN, SQUARE, ANGLES)


class AdaptedBlocks(NamedTuple):
    """Blocks of a model, and (in_features, out_features) of q_proj and v_proj in each."""

    blocks: int
    layers: tuple[tuple[int, int], ...]


MODELS = {
    "tiny": AdaptedBlocks(6, ((192, 192), (192, 64))),
    "smollm2-135m": AdaptedBlocks(30, ((576, 576), (576, 192))),
    "Qwen2-7B": AdaptedBlocks(28, ((3584, 3584), (3584, 512))),
}
"""Sizes by model. Source of Qwen2-7B: its config.json (hidden_size 3584, 4 key/value heads of 128).
"""


class ParameterBudget(NamedTuple):
    """Trained parameters of one method by part."""

    label: str
    parts: dict[str, int]

    @property
    def total(self) -> int:
        """All trained parameters."""
        return sum(self.parts.values())


def qtha_budget(model: str, **options: Any) -> ParameterBudget:
    """Count the parameters that QTHA trains on q_proj and v_proj of a model.

    Args:
        model: Name in `MODELS`.
        options: Settings of QTHA, such as r, waist, bond_dim and n_layers.

    Example:
        >>> budget = qtha_budget("Qwen2-7B", r=10, waist=256, bond_dim=8, n_layers=1)
        >>> budget.parts[ANGLES] // 28, budget.total // 28  # of one block
        (80, 26880)
    """
    config, blocks = QthaConfig(**options), MODELS[model]
    parts: dict[str, int] = dict.fromkeys(PARTS, 0)
    for size in blocks.layers:
        for name, spec in config.change(Layer(*size)).tensors().items():
            parts[_part_of(name)] += blocks.blocks * math.prod(spec.shape)
    return ParameterBudget(_label("qtha", options), parts)


def lora_budget(model: str, r: int) -> ParameterBudget:
    """Count the parameters that LoRA trains on q_proj and v_proj of a model.

    Args:
        model: Name in `MODELS`.
        r: Rank of LoRA.
    """
    blocks = MODELS[model]
    count = blocks.blocks * sum(r * (rows + columns) for rows, columns in blocks.layers)
    return ParameterBudget(_label("lora", {"r": r}), {THIN: count})


def quantum_share(budget: ParameterBudget) -> float:
    """Return the share of a method's parameters that are angles of circuits."""
    return budget.parts.get(ANGLES, 0) / budget.total


def _part_of(name: str) -> str:
    if name.startswith("mpo_"):
        return CORES
    if name in ("A", "B"):
        return THIN
    return ANGLES if name == "params" else SQUARE


def _label(method: str, options: dict[str, Any]) -> str:
    settings = ",".join(f"{name}={value}" for name, value in options.items())
    return f"{method}({settings})"
