"""Quantisation of PreQuant: outlier weights stay unrounded and do not affect the grid.

W̃ = Q(W ⊙ (1 − M); s) + M ⊙ W. The mask M selects the `fraction` of a layer's weights that are
farthest from the mean of their row, in standard deviations of the row. The grid of a row covers the
other weights. Method `prequant` then trains the weights in M.

Source:
    PreQuant, arXiv:2306.00014: about half a percent of outliers, one task-independent rounding. The
    outlier rule and the exclusion from the grid are our reconstruction [R]; no code is public.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from qtha_lab.core.settings import setting
from qtha_lab.models.quantisation.schemes.nearest import WEIGHT_BITS
from qtha_lab.models.quantisation.schemes.registry import Rounding, bits

if TYPE_CHECKING:
    from torch import Tensor, nn


@bits(
    "outliers",
    summary="Rounds all weights but a small share of outliers, on grids that exclude these.",
    source="PreQuant, arXiv:2306.00014",
    example="outliers(w=4)",
)
@dataclasses.dataclass(frozen=True)
class Outliers(Rounding):
    """Settings of rounding with unrounded outliers."""

    w: int = setting(4, "Bits of a weight that is rounded.", choices=WEIGHT_BITS, common=True)
    fraction: float = setting(0.005, "Share of a layer's weights that is not rounded.", ge=0, le=1)
    chosen: str = setting(
        "farthest",
        "Unrounded weights: the farthest from their row's mean, or a random choice (control).",
        choices=("farthest", "random"),
    )
    clip: str = setting(
        "whole",
        "Range of a grid: all rounded weights (whole), or the fraction of least error (grid).",
        choices=("whole", "grid"),
    )

    def apply(self, model: nn.Module, learnt: Mapping[str, Tensor]) -> None:
        """Round every layer's weight except its outliers."""
        from qtha_lab.adapters.prequant import outlier_mask
        from qtha_lab.models.quantisation import grid, layers

        for name, layer in layers.rounded_layers(model).items():
            matrix = layers.matrix_of(layer)
            mask = outlier_mask(matrix, self.fraction, self.chosen, name)
            rounded = grid.round_matrix(matrix, self.w, clip=self.clip, left_out=mask)
            layers.set_matrix(layer, rounded)
