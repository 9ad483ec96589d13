"""Quantisation of RoSTE: rotated weights, inputs, keys and values of few bits.

    y = Q(W R) Q(Rᵀ x),   R = diag(±1) H / √d or I, chosen for each layer

A rotation spreads an outlier over all coordinates, so the grid of a token can be narrower. A layer
uses the R of least ‖Q(WR) − WR‖² / ‖W‖² + ‖Q(Rᵀx) − Rᵀx‖² / ‖x‖² over calibration rows. The
rotations of keys and values minimise their rounding errors likewise. The straight-through gradient
of Q is 1, so tensors below a rounded layer can be trained.

`training` places the change ΔW of an adapter:

* "frozen": W is rounded once; adapters read the unrounded x, beside Q(W R).
* "qat": quantisation-aware training. Each pass computes Q((W + ΔW) R), with W unrounded.
* "ptq": post-training quantisation. Nothing is rounded in training mode. Evaluation is that of
  "qat".

Source:
    RoSTE, arXiv:2502.09003: rotations chosen by the quantisation error, straight-through training.
    Its control, fine-tuning without rounding and then rounding, is "ptq".
    The paper rotates residual stream, values, position-embedded keys and down_proj's input. Here
    each layer has one R and each attention two; the relative errors in the sum are ours [R].
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from qtha_lab.core.settings import setting
from qtha_lab.models.quantisation.schemes.nearest import WEIGHT_BITS
from qtha_lab.models.quantisation.schemes.registry import Rounding, bits

if TYPE_CHECKING:
    from torch import Tensor, nn

    from qtha_lab.models.quantisation.calibration import Batch


@bits(
    "rotated",
    summary="Rounds weights, inputs, keys and values, after rotations where these reduce the "
    "error.",
    source="RoSTE, arXiv:2502.09003",
    example="rotated(w=4,a=4,kv=4)",
)
@dataclasses.dataclass(frozen=True)
class Rotated(Rounding):
    """Settings of rounding after rotations."""

    calibrates: ClassVar[bool] = True

    w: int = setting(4, "Bits of a weight; one grid for a row.", choices=WEIGHT_BITS, common=True)
    a: int = setting(
        4, "Bits of a layer's input; one grid for a token.", choices=WEIGHT_BITS, common=True
    )
    kv: int = setting(
        4,
        "Bits of keys and values; one grid for a head of a token.",
        choices=WEIGHT_BITS,
        common=True,
    )
    rotations: str = setting(
        "chosen",
        "Layers to rotate: where the error shrinks (chosen), everywhere, everywhere at random, "
        "nowhere.",
        choices=("chosen", "everywhere", "random", "nowhere"),
    )
    training: str = setting(
        "frozen",
        "Adapters beside frozen rounded weights (frozen), or weights that are rounded with their "
        "change: in each pass (qat), or in evaluation alone (ptq).",
        choices=("frozen", "qat", "ptq"),
    )

    @property
    def rounds_changes(self) -> bool:
        return self.training != "frozen"

    def check(self, model: nn.Module) -> None:
        """Refuse sizes without a Hadamard matrix, and unsuitable layers or attentions."""
        from qtha_lab.models.quantisation import attention, layers, rotations

        layers.check_linear(model)
        attention.check_keys(model, self.kv)
        if self.rotations in ("chosen", "everywhere"):
            for name, in_features, _ in layers.linear_sizes(model):
                rotations.check_size(in_features, name)

    def learn(self, model: nn.Module, batches: Sequence[Batch]) -> dict[str, Tensor]:
        """Choose where to rotate before rounding.

        Returns a boolean tensor for each layer, `NAME.keys` and `NAME.values`.
        """
        import torch

        from qtha_lab.models.quantisation import rounding_error as errors

        if self.rotations != "chosen":
            return {}
        measured = errors.with_and_without(
            model, batches, (self.w, self.a, self.kv), self._rotation()
        )
        return {name: torch.tensor(rotated < plain) for name, (plain, rotated) in measured.items()}

    def apply(self, model: nn.Module, learnt: Mapping[str, Tensor]) -> None:
        """Round weights in place or in each pass; install the rounding of inputs, keys, values."""
        from qtha_lab.models.quantisation import attention, grid, layers

        rotation_of, after_training = self._rotation(), self.training == "ptq"

        def turning(name: str, size: int) -> Tensor | None:
            rotates = bool(learnt[name]) if learnt else self.rotations != "nowhere"
            return rotation_of(size) if rotates else None

        for name, layer in layers.with_rounded_inputs(model, self.a).items():
            matrix = layers.matrix_of(layer)
            rotation = turning(name, matrix.shape[1])
            if rotation is not None:
                rotation = rotation.to(matrix)
                layer.rotation = rotation.float()
            if self.rounds_changes:
                layer.weight_bits, layer.after_training = self.w, after_training
            elif rotation is None:
                layers.set_matrix(layer, grid.round_matrix(matrix, self.w))
            else:
                rotated = grid.round_matrix(matrix @ rotation, self.w)
                layers.set_matrix(layer, rotated @ rotation.mT)
        if self.kv < 16:
            rounders = {}
            for name, module in attention.attention_layers(model).items():
                size = attention.head_size(module)
                pair = turning(f"{name}.keys", size), turning(f"{name}.values", size)
                rounder = attention.RoundedKeys(self.kv, pair, after_training)
                rounders[name] = rounder.train(module.training)
            attention.round_keys(model, rounders)

    def _rotation(self) -> Callable[[int], Tensor]:
        from qtha_lab.models.quantisation import rotations

        return rotations.random_orthogonal if self.rotations == "random" else rotations.hadamard
