"""What an adapter costs on a model of a given shape: parameters, and operations counted by torch.

Makes no weight of the base. Bytes, circuits and seconds are `cost`.
"""

import copy
import dataclasses
import functools
import logging
from typing import Any

import torch
from peft import PeftConfig, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from qtha_lab.adapters.method import Base, Change
from qtha_lab.adapters.peft import AdapterConfig, AdapterLayer
from qtha_lab.circuits import Circuit
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.cost.shapes import ModelShape

log = logging.getLogger(__name__)

PROBED_TOKENS = (64, 128)
MOST_AMPLITUDES = 2**22  # simulated for a count; methods with larger circuits are not counted


def adapted_layers_of(config: PeftConfig, shape: ModelShape) -> tuple[list[nn.Module], int]:
    """The shape's adapted layers on the meta device, and how many parameters they train.

    One block of peft's methods stands for all, which are alike; a method of ours may treat blocks
    differently.

    Raises:
        Refusal: If the targets match nothing, or the method cannot adapt them.
    """
    is_readable = isinstance(config, AdapterConfig) or getattr(config, "layers_to_transform", None)
    part = shape if is_readable else dataclasses.replace(shape, n_blocks=1)
    times = 1 if is_readable else shape.n_blocks
    targets = set(shape.targets(getattr(config, "target_modules", None)))
    config = copy.deepcopy(config)
    # the skeleton has no head
    vars(config).update(task_type=None, target_modules=targets)
    try:
        skeleton = part.skeleton(targets)
        with torch.device("meta"):
            model = get_peft_model(skeleton, config)
    except (TypeError, ValueError, NotImplementedError) as problem:
        raise Refusal(f"this method cannot adapt {shape.name}: {problem}") from problem
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return [m for m in model.modules() if isinstance(m, BaseTunerLayer)] * times, trained * times


def adapter_flops(config: PeftConfig, layers: list[nn.Module], tokens: int) -> int | None:
    """Forward and backward of all adapters' matrix products for so many tokens.

    Counted by torch while one layer of each size runs on few tokens, and drawn out in a straight
    line.

    Args:
        config: Of the adapters.
        layers: All adapted layers, as `adapted_layers_of` gives them.
        tokens: In a batch.

    Returns:
        Floating-point operations; None where a method cannot be run without weights, or its circuits are
        too large to try.
    """
    total, settings = 0.0, repr(config.to_dict())
    for layer in layers:
        first = next(iter(layer.changes.values())) if isinstance(layer, AdapterLayer) else None
        plain = getattr(first, "plain", False)
        key = (settings, *_sizes(layer), plain)
        counted = _counted(_Held(key, layer))
        if counted is None:
            return None
        few, many = counted
        gradient = (many - few) / (PROBED_TOKENS[1] - PROBED_TOKENS[0])
        total += few + gradient * (tokens - PROBED_TOKENS[0])
    return round(total)


class _Held:
    """A layer to count on, looked up by what decides the count."""

    def __init__(self, key: tuple, layer: nn.Module):
        self.key, self.layer = key, layer

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@functools.lru_cache(maxsize=256)
def _counted(key: _Held) -> tuple[int, int] | None:
    """Operations at each number of `PROBED_TOKENS`."""
    is_ours = isinstance(key.layer, AdapterLayer)
    run = _run_ours if is_ours else _run_pefts
    if is_ours and max(map(_amplitudes, _change(key).circuits()), default=0) > MOST_AMPLITUDES:
        return None
    try:
        few, many = (run(key, tokens) for tokens in PROBED_TOKENS)
    except NotImplementedError as reason:  # an operation that torch cannot run without numbers
        log.debug("the operations of %s are not counted: %s", key.layer, reason)
        return None
    return few, many


def _change(key: _Held) -> Change:
    changes: dict[str, Change] = getattr(key.layer, "changes")  # noqa: B009  of ours alone
    return next(iter(changes.values()))


def _amplitudes(circuit: Circuit) -> int:
    """Amplitudes of all the states that the count would simulate."""
    return (PROBED_TOKENS[1] if circuit.n_inputs else 1) * 2**circuit.n_qubits


def _run_ours(key: _Held, tokens: int) -> int:
    """On real tensors, since circuits need numbers; there is no base weight among them."""
    change = _change(key)
    with torch.random.fork_rng(devices=[]):
        tensors = change.start()
    for name, spec in change.all_tensors().items():
        tensors[name].requires_grad_(spec.trainable)
    x = torch.zeros(tokens, change.layer.in_features, requires_grad=True)
    weight = torch.zeros(change.layer.out_features, change.layer.in_features)
    base = Base(lambda: weight, lambda: weight.new_zeros(tokens, len(weight)))
    return _matrix_flops(lambda: change.output(tensors, x, base))


def _run_pefts(key: _Held, tokens: int) -> int:
    """On the meta device, less the frozen layer's own products."""
    in_features, out_features = _sizes(key.layer)
    x = torch.empty(tokens, in_features, device="meta", requires_grad=True)
    return _matrix_flops(lambda: key.layer(x)) - 4 * tokens * in_features * out_features


def _sizes(layer: nn.Module) -> tuple[int, int]:
    """Inputs and outputs of an adapted layer; PEFT's layers have them, though `nn.Module` declares none."""
    sizes: dict[str, Any] = {name: getattr(layer, name) for name in ("in_features", "out_features")}
    return sizes["in_features"], sizes["out_features"]


def _matrix_flops(forward) -> int:
    with FlopCounterMode(display=False) as counter, torch.enable_grad():
        forward().sum().backward()
    return counter.get_total_flops()
