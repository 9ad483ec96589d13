"""OmniQuant: clips of weight grids and scales of inputs, trained block by block.

    clip    max′ = σ(γ) max W,  min′ = σ(β) min W,  s = (max′ − min′) / (2ᵇ − 1),  z = −⌊min′ / s⌉
    scale   X̃ = X / t,  W̃ = W diag t,  if inputs are rounded too

The loss of a block is the squared difference between its output and that of the unquantised block.
The input of the block is the output of the rounded preceding blocks. γ, β → ∞ is round-to-nearest.
Layers that read the same tensor share t: queries, keys and values; gate and up. Other layers have
no t.

Source:
    OmniQuant, arXiv:2308.13137, and the authors' code: initial γ = β = 4, t = √max|X| / √max|W|,
    AdamW at 1e-2 for γ, β and 5e-3 for t, no shift on Llama. The initial clip of least weight error
    is ours [R]. Omitting v → o and q, k is ours too: heads share keys here, and no query-key
    product is rounded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from qtha_lab.core.settings import setting
from qtha_lab.models.quantisation.schemes.nearest import WEIGHT_BITS
from qtha_lab.models.quantisation.schemes.registry import Rounding, bits

if TYPE_CHECKING:
    from torch import Tensor, nn

    from qtha_lab.models.quantisation.calibration import Batch


@bits(
    "learned",
    summary="Trains the range of every grid block by block, and scales for rounded inputs.",
    source="OmniQuant, arXiv:2308.13137, and the authors' code",
    example="learned(w=3,a=16)",
)
@dataclasses.dataclass(frozen=True)
class Learned(Rounding):
    """Settings of learnt clips and scales."""

    calibrates: ClassVar[bool] = True

    w: int = setting(3, "Bits of a weight; 16 rounds none.", choices=WEIGHT_BITS, common=True)
    a: int = setting(
        16,
        "Bits of a layer's input, one grid for a token; 16 rounds none.",
        choices=WEIGHT_BITS,
        common=True,
    )
    g: int | None = setting(
        None, "Neighbouring weights of a row that share a grid; null takes the row.", ge=2
    )
    steps: int = setting(
        200, "Steps of AdamW for a block, a calibration row each.", ge=0, unit="steps"
    )
    start: str = setting(
        "grid",
        "Initial clip: least weight error (grid), or almost none (paper, γ = β = 4).",
        choices=("grid", "paper"),
    )
    rate: float = setting(
        1e-2, "Learning rate of the clips; that of the scales is half of it.", gt=0
    )

    def check(self, model: nn.Module) -> None:
        """Refuse unsuitable group sizes, layers and models without blocks."""
        from qtha_lab.models.quantisation import calibration, layers

        layers.check_groups(model, self.g)
        layers.check_linear(model)
        calibration.blocks_of(model)

    def learn(self, model: nn.Module, batches: Sequence[Batch]) -> dict[str, Tensor]:
        """Train clips and scales on calibration rows.

        Returns logits of the clips, `NAME.low` and `NAME.high`, and scales `NAME.scale`, by layer
        name.
        """
        from qtha_lab.models.quantisation import clip_training

        return clip_training.train_clips(self, model, batches)

    def apply(self, model: nn.Module, learnt: Mapping[str, Tensor]) -> None:
        """Round layers in blocks at their learnt clip, other layers at full range."""
        from qtha_lab.models.quantisation import clip_training, grid, layers

        names = list(layers.rounded_layers(model))
        if self.a < 16:
            layers.with_rounded_inputs(model, self.a)
        for name in names:
            layer = model.get_submodule(name)
            matrix = layers.matrix_of(layer)
            if f"{name}.low" not in learnt:
                layers.set_matrix(layer, grid.round_matrix(matrix, self.w, self.g))
                continue
            clips = learnt[f"{name}.low"].to(matrix), learnt[f"{name}.high"].to(matrix)
            scale = learnt.get(f"{name}.scale")
            scale = None if scale is None else scale.to(matrix)
            layers.set_matrix(layer, clip_training.clipped(matrix, clips, scale, self.w, self.g))
            if scale is not None and isinstance(layer, layers.RoundedLinear):
                layer.scale = scale.float()
