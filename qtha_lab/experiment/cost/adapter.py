"""Cost of an adapter on a model shape: parameters, and operations counted by torch.

Creates no base weights. The duration of a classification head is measured on random features
without a model. `qtha_lab.experiment.cost.step` predicts whole steps.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import logging
import time
from typing import Any

import torch
from peft import PeftConfig, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from qtha_lab.adapters.change import Base, Change
from qtha_lab.adapters.heads import head_named
from qtha_lab.adapters.peft import AdapterConfig, AdapterLayer
from qtha_lab.circuits import Circuit
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.cost.shapes import ModelShape

log = logging.getLogger(__name__)

PROBED_TOKENS = (64, 128)
MOST_AMPLITUDES = 2**22  # simulated for a count; methods with larger circuits are not counted


def adapted_layers_of(config: PeftConfig, shape: ModelShape) -> tuple[list[nn.Module], int]:
    """Build the shape's adapted layers on the meta device and count their trained parameters.

    All blocks of a method from peft are alike, so one block stands for all. A method of this
    package may treat blocks differently.

    Raises:
        Refusal: If no layer matches the targets, or the method cannot adapt the layers.
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
        raise Refusal(f"{shape.name} must suit this method, got from PEFT: {problem}") from problem
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return [m for m in model.modules() if isinstance(m, BaseTunerLayer)] * times, trained * times


def adapter_flops(config: PeftConfig, layers: list[nn.Module], tokens: int) -> int | None:
    """Count forward and backward operations of all adapters' matrix products for a batch.

    torch counts one layer of each size on two small numbers of tokens; the counts are extrapolated
    linearly.

    Args:
        config: Adapter config.
        layers: All adapted layers, from `adapted_layers_of`.
        tokens: Number of tokens in the batch.

    Returns:
        Floating-point operations; None if a method cannot run without weights, or its circuits are
            too large to simulate.
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
    """Layer to count, with the properties that determine the count as its cache key."""

    def __init__(self, key: tuple, layer: nn.Module):
        self.key, self.layer = key, layer

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@functools.lru_cache(maxsize=256)
def _counted(key: _Held) -> tuple[int, int] | None:
    """Count the operations for each number of tokens in `PROBED_TOKENS`."""
    is_ours = isinstance(key.layer, AdapterLayer)
    run = _run_ours if is_ours else _run_pefts
    if is_ours and max(map(_amplitudes, _change(key).circuits()), default=0) > MOST_AMPLITUDES:
        return None
    try:
        few, many = (run(key, tokens) for tokens in PROBED_TOKENS)
    except NotImplementedError as reason:  # an operation that torch cannot run on the meta device
        log.debug("the operations of %s are not counted: %s", key.layer, reason)
        return None
    return few, many


def _change(key: _Held) -> Change:
    changes: dict[str, Change] = getattr(key.layer, "changes")  # noqa: B009  of `AdapterLayer` only
    return next(iter(changes.values()))


def _amplitudes(circuit: Circuit) -> int:
    """Count the amplitudes of all states that the operation count would simulate."""
    return (PROBED_TOKENS[1] if circuit.n_inputs else 1) * 2**circuit.n_qubits


def _run_ours(key: _Held, tokens: int) -> int:
    """Count on real tensors, because circuits need numbers; no base weight is created."""
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
    """Count the operations of PEFT's layers on the meta device, without the frozen products."""
    in_features, out_features = _sizes(key.layer)
    x = torch.empty(tokens, in_features, device="meta", requires_grad=True)
    return _matrix_flops(lambda: key.layer(x)) - 4 * tokens * in_features * out_features


def _sizes(layer: nn.Module) -> tuple[int, int]:
    """Return the input and output sizes of an adapted layer.

    PEFT's layers have these attributes, although `nn.Module` declares none.
    """
    sizes: dict[str, Any] = {name: getattr(layer, name) for name in ("in_features", "out_features")}
    return sizes["in_features"], sizes["out_features"]


def _matrix_flops(forward) -> int:
    with FlopCounterMode(display=False) as counter, torch.enable_grad():
        forward().sum().backward()
    return counter.get_total_flops()


TRIALS = 3


def head_seconds(reader: str, in_features: int, n_classes: int, rows: int, tokens: int) -> float:
    """Measure the seconds of one forward and backward pass: the minimum of three.

    Args:
        reader: Name of the head.
        in_features: Length of a feature vector.
        n_classes: Number of logits.
        rows: Rows in the batch.
        tokens: Tokens per row, for a head that reads all tokens.

    Example:
        >>> head_seconds("linear", 8, 3, rows=4, tokens=5) > 0
        True
    """
    return _seconds(reader, in_features, n_classes, rows, tokens, torch.get_num_threads())


@functools.lru_cache(maxsize=64)
def _seconds(
    reader: str, in_features: int, n_classes: int, rows: int, tokens: int, threads: int
) -> float:
    head = head_named(reader)
    with torch.random.fork_rng(devices=[]):
        network = head.module(in_features, n_classes)
        shape = (rows, tokens, in_features) if head.reads_tokens else (rows, in_features)
        features = torch.randn(shape, requires_grad=True)
    mask = (torch.ones(rows, tokens, dtype=torch.long),) if head.reads_tokens else ()
    trials = []
    for _ in range(TRIALS):
        start = time.perf_counter()
        network(features, *mask).logsumexp(-1).sum().backward()
        trials.append(time.perf_counter() - start)
    return min(trials)
