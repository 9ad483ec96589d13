"""Rounding of attention keys and values to few bits, after rotary position embedding.

A quantised key-value cache would hold the same values. Each head of a token has a grid of its own.
Works on models that use transformers' attention interface.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from qtha_lab.core.errors import Refusal
from qtha_lab.models.quantisation import grid, layers
from qtha_lab.models.quantisation.calibration import Batch
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


Errors = tuple[float, float]  # without and with the rotation


class _Sum:
    """Squared rounding error relative to the squared norm, with and without rotation."""

    def __init__(self, bits: int, rotation: Tensor) -> None:
        self.bits, self.rotation = bits, rotation
        self.errors, self.square = [0.0, 0.0], 0.0

    def add(self, x: Tensor) -> None:
        x = x.to(torch.float32)
        self.square += float(x.square().sum())
        for place, vectors in enumerate((x, x @ self.rotation.to(x))):
            self.errors[place] += float(
                (grid.straight_through(vectors, self.bits) - vectors).square().sum()
            )

    @property
    def relative(self) -> Errors:
        plain, rotated = (error / self.square if self.square else 0.0 for error in self.errors)
        return plain, rotated


@torch.no_grad()
def with_and_without(
    model: nn.Module,
    batches: Sequence[Batch],
    bits: tuple[int, int, int],
    rotation_of: Callable[[int], Tensor],
) -> dict[str, Errors]:
    """Measure relative squared rounding errors, without and with a rotation.

    The keys are layer names, `NAME.keys` and `NAME.values`.

    Returns:
        Pairs (without, with the rotation). The error of a layer is the sum of the errors of its
        weight and its inputs.
    """
    w, a, kv = bits
    inputs, pairs = {}, {}
    with ExitStack() as stack:
        for name, layer in layers.rounded_layers(model).items():
            inputs[name] = _Sum(a, rotation_of(layers.matrix_of(layer).shape[1]))
            stack.callback(layer.register_forward_pre_hook(_adding(inputs[name])).remove)
        if kv < grid.WHOLE:
            pairs = _listen_to_attention(model, kv, rotation_of, stack)
        for batch in batches:
            model(**batch)
    weights = {}
    for name, layer in layers.rounded_layers(model).items():
        matrix = layers.matrix_of(layer)
        weights[name] = _Sum(w, rotation_of(matrix.shape[1]))
        weights[name].add(matrix)
    of_layers = {
        name: (weights[name].relative[0] + s.relative[0], weights[name].relative[1] + s.relative[1])
        for name, s in inputs.items()
    }
    return of_layers | {name: s.relative for name, s in pairs.items()}


def _adding(errors: _Sum) -> Callable[[nn.Module, tuple], None]:
    return lambda module, arguments: errors.add(arguments[0])


def _listen_to_attention(
    model: nn.Module, kv: int, rotation_of: Callable[[int], Tensor], stack: ExitStack
) -> dict[str, _Sum]:
    """Sum the rounding errors of every attention's keys and values, until the stack closes."""
    pairs: dict[str, _Sum] = {}
    listeners: dict[str, Any] = {}
    for name, module in attention_layers(model).items():
        rotation = rotation_of(head_size(module))
        keys, values = pairs[f"{name}.keys"], pairs[f"{name}.values"] = (
            _Sum(kv, rotation),
            _Sum(kv, rotation),
        )
        listeners[name] = _Listener(keys, values)
    config = cast(Any, model).config
    before = config._attn_implementation
    round_keys(model, listeners)

    def leave() -> None:
        config._attn_implementation = before
        for name in listeners:
            del cast(Any, model.get_submodule(name)).rounded_keys

    stack.callback(leave)
    return pairs


class _Listener(nn.Module):
    """Stand-in for `RoundedKeys` that sums rounding errors and returns its inputs unchanged."""

    def __init__(self, keys: _Sum, values: _Sum) -> None:
        super().__init__()
        self.sums = keys, values

    def forward(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        for errors, x in zip(self.sums, (key, value), strict=True):
            errors.add(x)
        return key, value
