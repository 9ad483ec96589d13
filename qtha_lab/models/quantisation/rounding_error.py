"""Rounding errors of weights, inputs, keys and values, with and without a rotation."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, cast

import torch
from torch import Tensor, nn

from qtha_lab.models.quantisation import attention, grid, layers
from qtha_lab.models.quantisation.calibration import Batch

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

    Args:
        model: Unquantised model; stays unchanged.
        batches: Calibration rows.
        bits: Bits of weights, of inputs, and of keys and values.
        rotation_of: Function that makes the rotation of a size.

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
    for name, module in attention.attention_layers(model).items():
        rotation = rotation_of(attention.head_size(module))
        keys, values = pairs[f"{name}.keys"], pairs[f"{name}.values"] = (
            _Sum(kv, rotation),
            _Sum(kv, rotation),
        )
        listeners[name] = _Listener(keys, values)
    config = cast(Any, model).config
    before = config._attn_implementation
    attention.round_keys(model, listeners)

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
