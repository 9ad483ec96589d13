"""Orthogonal matrices against outliers: R = diag(±1) H / √d, or random.

The Hadamard matrices H of sizes 2ᵏ, 12·2ᵏ, 20·2ᵏ, 28·2ᵏ, 36·2ᵏ and some more come from torchao.

Source:
    QuaRot, arXiv:2404.00456; the tables of N. J. A. Sloane's library, as
    torchao.prototype.spinquant has them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.core.errors import Refusal
from qtha_lab.core.libraries import require_extra
from qtha_lab.core.settings import setting
from qtha_lab.models.quantisation.schemes.nearest import WEIGHT_BITS
from qtha_lab.models.quantisation.schemes.registry import Rounding, bits

if TYPE_CHECKING:
    from torch import Tensor, nn

    from qtha_lab.models.quantisation.calibration import Batch

TABLE = (
    172,
    156,
    140,
    108,
    60,
    52,
    36,
    28,
    44,
    40,
    20,
    12,
    1,
)  # the first divisor is used, as in torchao


def check_size(size: int, place: str) -> None:
    """Refuse a size without a known Hadamard matrix.

    Example:
        >>> check_size(34, "down_proj")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: quantization must have rotations=random or nowhere for ...
    """
    require_extra("quantized", "Quantisation with Hadamard matrices", "torchao")
    rest = size // next(k for k in TABLE if size % k == 0)
    if rest & (rest - 1):
        raise Refusal(
            "rotations must be random or nowhere without a known Hadamard matrix, got size "
            f"{size} at {place}."
        )


@functools.cache
def hadamard(size: int) -> Float[Tensor, "size size"]:
    """Compute diag(±1) H / √d in float64, the same for every layer of a size.

    Example:
        >>> rotated = torch.eye(192, dtype=torch.float64)[5] @ hadamard(192)
        >>> rms = rotated.square().mean().sqrt()
        >>> round(float(rotated.abs().max() / rms), 6)  # √192 before the rotation
        1.0
    """
    with contextlib.redirect_stdout(io.StringIO()):  # the import prints an advertisement
        from torchao.prototype.spinquant.hadamard_utils import get_hadK, matmul_hadU_slow

    signs = torch.randint(0, 2, (size,), generator=torch.Generator().manual_seed(size)) * 2.0 - 1
    matrix, k = get_hadK(size)
    return matmul_hadU_slow(torch.diag(signs).double(), matrix, k)


@functools.cache
def random_orthogonal(size: int) -> Float[Tensor, "size size"]:
    """Draw a uniformly random orthogonal matrix in float64, seeded by its size.

    Source:
        Mezzadri 2007, arXiv:math-ph/0609050.
    """
    generator = torch.Generator().manual_seed(size)
    q, r = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))
    return q * r.diagonal().sign()


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
        from qtha_lab.models.quantisation import layers, rounding_error

        layers.check_linear(model)
        rounding_error.check_keys(model, self.kv)
        if self.rotations in ("chosen", "everywhere"):
            for name, in_features, _ in layers.linear_sizes(model):
                check_size(in_features, name)

    def learn(self, model: nn.Module, batches: Sequence[Batch]) -> dict[str, Tensor]:
        """Choose where to rotate before rounding.

        Returns a boolean tensor for each layer, `NAME.keys` and `NAME.values`.
        """
        import torch

        from qtha_lab.models.quantisation import rounding_error

        if self.rotations != "chosen":
            return {}
        measured = rounding_error.with_and_without(
            model, batches, (self.w, self.a, self.kv), self._rotation()
        )
        return {name: torch.tensor(rotated < plain) for name, (plain, rotated) in measured.items()}

    def apply(self, model: nn.Module, learnt: Mapping[str, Tensor]) -> None:
        """Round weights in place or in each pass; install the rounding of inputs, keys, values."""
        from qtha_lab.models.quantisation import grid, layers, rounding_error

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
            for name, module in rounding_error.attention_layers(model).items():
                size = rounding_error.head_size(module)
                pair = turning(f"{name}.keys", size), turning(f"{name}.values", size)
                rounder = rounding_error.RoundedKeys(self.kv, pair, after_training)
                rounders[name] = rounder.train(module.training)
            rounding_error.round_keys(model, rounders)

    def _rotation(self) -> Callable[[int], Tensor]:

        return random_orthogonal if self.rotations == "random" else hadamard
