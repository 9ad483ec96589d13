"""Linear head with zero initialisation, the head of most models.

    z = W f + b

Parameters: d C + C; a model whose own layer has no b keeps none.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from qtha_lab.adapters.heads.registry import Head, head, zero_


@head(
    "linear",
    summary="One linear map, the model's own kind of head.",
    equation="z = W f + b",
    source="the usual classification head",
)
@dataclass(frozen=True)
class Linear(Head):
    """Linear head without settings."""

    def module(self, in_features: int, n_classes: int) -> nn.Module:
        """Build a zero-initialised linear layer."""
        return zero_(nn.Linear(in_features, n_classes))

    def n_parameters(self, in_features: int, n_classes: int) -> int:
        """Count d C + C parameters."""
        return (in_features + 1) * n_classes
