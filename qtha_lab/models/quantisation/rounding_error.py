"""How far rounding moves weights, inputs, keys and values, as they are and turned; rounds nothing for good."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, cast

import torch
from torch import Tensor, nn

from qtha_lab.models.quantisation import attention, grid, layers
from qtha_lab.models.quantisation.calibration import Batch

Errors = tuple[float, float]  # plain, turned


class _Sum:
    """The squared error of rounding many vectors over the square of all of them, plain and turned."""

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
    turn: Callable[[int], Tensor],
) -> dict[str, Errors]:
    """Relative squared errors of rounding, plain and turned, by the name of the layer, `NAME.keys` or `NAME.values`.

    Args:
        model: Whole; left as it was.
        batches: Rows that go through it.
        bits: Of weights, of inputs, of keys and values.
        turn: Makes the rotation of a size.

    Returns:
        For a layer the sum of its weight's and its inputs' error.
    """
    w, a, kv = bits
    inputs, pairs = {}, {}
    with ExitStack() as stack:
        for name, layer in layers.rounded_layers(model).items():
            inputs[name] = _Sum(a, turn(layers.matrix_of(layer).shape[1]))
            stack.callback(layer.register_forward_pre_hook(_adding(inputs[name])).remove)
        if kv < grid.WHOLE:
            pairs = _listen_to_attention(model, kv, turn, stack)
        for batch in batches:
            model(**batch)
    weights = {}
    for name, layer in layers.rounded_layers(model).items():
        matrix = layers.matrix_of(layer)
        weights[name] = _Sum(w, turn(matrix.shape[1]))
        weights[name].add(matrix)
    of_layers = {
        name: (weights[name].relative[0] + s.relative[0], weights[name].relative[1] + s.relative[1])
        for name, s in inputs.items()
    }
    return of_layers | {name: s.relative for name, s in pairs.items()}


def _adding(errors: _Sum) -> Callable[[nn.Module, tuple], None]:
    return lambda module, arguments: errors.add(arguments[0])


def _listen_to_attention(
    model: nn.Module, kv: int, turn: Callable[[int], Tensor], stack: ExitStack
) -> dict[str, _Sum]:
    """Add up what every attention is given, until the stack is left."""
    pairs: dict[str, _Sum] = {}
    listeners: dict[str, Any] = {}
    for name, module in attention.attention_layers(model).items():
        rotation = turn(attention.head_size(module))
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
    """Stands where keys are rounded and only adds up what rounding them would do."""

    def __init__(self, keys: _Sum, values: _Sum) -> None:
        super().__init__()
        self.sums = keys, values

    def forward(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        for errors, x in zip(self.sums, (key, value), strict=True):
            errors.add(x)
        return key, value
