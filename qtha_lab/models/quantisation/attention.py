"""Rounding of attention keys and values to few bits, after rotary position embedding.

A quantised key-value cache would hold the same values. Each head of a token has a grid of its own.
Works on models that use transformers' attention interface.
"""

from typing import Any, cast

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from qtha_lab.core.errors import Refusal
from qtha_lab.models.quantisation.grid import WHOLE, rotated_and_rounded

NAME = "rounded_keys_and_values"


class RoundedKeys(nn.Module):
    """Rounding of one attention's keys and values: R Q(Rᵀk), or Q(k) without a rotation R.

    Args:
        bits: Bits of each number in a key or a value.
        rotations: Rotations (head_dim, head_dim) of the keys and of the values; None rotates
            neither.
        after_training: True rounds nothing in training mode.
    """

    def __init__(
        self,
        bits: int,
        rotations: tuple[Tensor | None, Tensor | None] = (None, None),
        after_training: bool = False,
    ):
        super().__init__()
        self.bits, self.after_training = bits, after_training
        self.register_buffer("of_keys", rotations[0], persistent=False)
        self.register_buffer("of_values", rotations[1], persistent=False)

    def forward(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Round both, (rows, heads, tokens, head_dim), with straight-through gradients."""
        if self.after_training and self.training:
            return key, value
        of_keys, of_values = (
            cast("Tensor | None", self.of_keys),
            cast("Tensor | None", self.of_values),
        )
        return rotated_and_rounded(key, of_keys, self.bits), rotated_and_rounded(
            value, of_values, self.bits
        )


def attention_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the attention modules that use transformers' attention interface, by name."""
    return {
        name: module
        for name, module in model.named_modules()
        if name.rpartition(".")[2] in ("self_attn", "attn", "self") and hasattr(module, "scaling")
    }


def head_size(module: nn.Module) -> int:
    """Return the length of a key of an attention."""
    size = getattr(module, "head_dim", None) or getattr(module, "attention_head_size")  # noqa: B009
    return int(cast(int, size))


def check_keys(model: nn.Module, bits: int) -> None:
    """Refuse a model whose keys and values cannot be rounded."""
    if bits < WHOLE and not (
        getattr(model, "_supports_attention_backend", False) and attention_layers(model)
    ):
        raise Refusal(
            f"quantization must have kv={WHOLE} for a {type(model).__name__}, whose keys and "
            f"values cannot be rounded, got kv={bits}."
        )


def round_keys(model: nn.Module, rounders: dict[str, RoundedKeys]) -> None:
    """Make every attention round its keys and values."""
    AttentionInterface.register(NAME, _attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    for name, rounder in rounders.items():
        cast(Any, model.get_submodule(name)).rounded_keys = rounder
    cast(Any, model).config._attn_implementation = NAME


def _attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **how: Any
) -> tuple[Tensor, Tensor | None]:
    rounder = getattr(module, "rounded_keys", None)
    if rounder is not None:
        key, value = rounder(key, value)
    return sdpa_attention_forward(module, query, key, value, mask, **how)
