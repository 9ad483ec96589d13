"""Round to nearest: every weight moves to the nearest point of its group's grid.

W̃ = Q(W). The grid of a group extends from its smallest to its largest weight. With `clip="grid"`
it covers the fraction of that range with the least squared error of the weights, the control of
every learnt clip.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from qtha_lab.core.settings import setting
from qtha_lab.models.quantisation.schemes.registry import Rounding, bits

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHT_BITS = (2, 3, 4, 5, 6, 7, 8, 16)


@bits(
    "round",
    summary="Rounds every weight to the nearest point of its group's grid.",
    source="the usual baseline; Nagel et al. 2021, arXiv:2106.08295",
    example="round(w=3,g=64)",
)
@dataclasses.dataclass(frozen=True)
class RoundToNearest(Rounding):
    """Settings of round-to-nearest."""

    w: int = setting(4, "Bits of a weight; 16 rounds none.", choices=WEIGHT_BITS, common=True)
    g: int | None = setting(
        64, "Neighbouring weights of a row that share a grid; null takes the row.", ge=2
    )
    clip: str = setting(
        "whole",
        "Range of a grid: all weights (whole), or the fraction of least error (grid).",
        choices=("whole", "grid"),
    )

    def check(self, model: nn.Module) -> None:
        """Refuse a group size that does not divide the inputs of a layer."""
        from qtha_lab.models.quantisation import layers

        layers.check_groups(model, self.g)

    def apply(self, model: nn.Module, learnt: Mapping[str, Tensor]) -> None:
        """Round every layer's weight."""
        from qtha_lab.models.quantisation import grid, layers

        for layer in layers.rounded_layers(model).values():
            matrix = layers.matrix_of(layer)
            layers.set_matrix(layer, grid.round_matrix(matrix, self.w, self.g, self.clip))
