"""Duration of a training step on this machine, measured on a model's first blocks.

The weights are random; nothing is loaded from disk or trained. Other work of a step (optimiser,
data loading) is small and excluded.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from peft import PeftConfig, PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import PreTrainedConfig, PreTrainedModel

from qtha_lab import adapters
from qtha_lab.adapters.heads import head_named
from qtha_lab.core.libraries import ONE_THREAD
from qtha_lab.experiment.memory import device

log = logging.getLogger(__name__)

SMALL = 30_000_000  # parameters; models up to this size are measured as a whole
LARGEST_TRIAL = 300_000_000  # parameters; larger trials are estimated from matrix products
ROUNDS = 6
LONGEST_MEASUREMENT = 0.7  # seconds
LONGEST_STEP = 0.35  # seconds; a measured step is shortened to this estimated length
MOST_TOKENS = 4096  # maximum of a timed product
FEWEST_TOKENS = 64  # fewer tokens take as long: the weights are read once per pass
FORGET_SECONDS = 60.0
_SITTING = threading.RLock()
_BASE: dict[tuple, tuple[float, float]] = {}  # trials without adapters: seconds, time stamp


@dataclasses.dataclass(frozen=True)
class Batch:
    """Size and number format of a batch."""

    rows: int
    length: int
    dtype: torch.dtype = torch.float32


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Set the number of threads inside the block, as a worker would.

    Only one caller at a time enters the block, because concurrent timings disturb each other.
    """
    with _SITTING:
        before = torch.get_num_threads()
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def fits(model: PreTrainedModel, adapter: int = 0) -> bool:
    """Return True if the first blocks and the adapter are small enough to measure.

    `adapter` is the adapter's number of parameters.
    """
    return bool(_trial_sizes(model)) and adapter <= SMALL


def base_seconds(model: PreTrainedModel, batch: Batch) -> float:
    """Measure the seconds of a forward and backward pass through the frozen base.

    `model` may be on the meta device.
    """
    sizes = _trial_sizes(model)
    if not sizes:
        return _by_products(model.num_parameters(), model.config.hidden_size, batch)
    batch, times = _part_of(model, batch)
    return times * _base_seconds(model, sizes, batch)


def _base_seconds(model: PreTrainedModel, sizes: tuple[int, ...], batch: Batch) -> float:
    few, more = _key(model, sizes[0]), _key(model, sizes[-1])
    whole = _best(few, batch, True)
    if few == more:
        return whole
    per_block = (_best(more, batch, False) - _best(few, batch, False)) / (sizes[-1] - sizes[0])
    return whole + (model.config.num_hidden_layers - sizes[0]) * max(per_block, 0.0)


def added_seconds(model: PreTrainedModel, config: PeftConfig, batch: Batch) -> float:
    """Measure the additional seconds of adapters in a forward and backward pass.

    If only some blocks have adapters, the time is scaled proportionally. Steps with and without
    adapters alternate, so that other load slows both equally.

    Returns:
        Seconds of one forward and backward pass, at least 0.
    """
    n_blocks = model.config.num_hidden_layers
    config, share = _on_every_block(config, n_blocks)
    n_tried = _trial_sizes(model)[-1]
    batch, times = _part_of(model, batch)
    key = _key(model, n_tried)
    adapted = _adapted(key, config, batch.dtype)
    whole: Any = adapted.get_base_model()
    head = isinstance(whole.get_output_embeddings(), BaseTunerLayer)
    base = _step(_trial(key, batch.dtype), batch, head)
    without, with_it = fastest(base, _step(adapted, batch, head))
    share *= times
    log.debug("a step of %d blocks: %.4f s, with adapters %.4f s", n_tried, without, with_it)
    return share * (1 if head else n_blocks / n_tried) * max(with_it - without, 0.0)


def fastest(*works: Callable[[], object]) -> list[float]:
    """Measure the minimum seconds of each function over several alternating rounds.

    The first round is a warm-up. Long functions run fewer rounds.
    """
    durations: list[list[float]] = []
    while len(durations) < 1 + ROUNDS and (
        len(durations) < 2 or sum(map(sum, durations)) < LONGEST_MEASUREMENT
    ):
        durations.append([_seconds(work) for work in works])
    return [min(rounds[1:]) for rounds in zip(*durations, strict=True)]


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    if device().type != "cpu":
        torch.accelerator.synchronize()
    return time.perf_counter() - start


class _Key:
    """Hashable pair of model class and config, compared by text."""

    def __init__(self, kind: Any, config: PreTrainedConfig) -> None:
        self.kind, self.config = kind, config
        self.text = kind.__name__ + config.to_json_string()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


def _key(model: PreTrainedModel, blocks: int) -> _Key:
    return _Key(type(model), _with_blocks(model.config, blocks))


def _with_blocks(config, blocks: int):
    shorter = copy.deepcopy(config)
    shorter.num_hidden_layers = blocks
    if getattr(shorter, "layer_types", None):
        shorter.layer_types = shorter.layer_types[:blocks]
    return shorter


def _trial_sizes(model: PreTrainedModel) -> tuple[int, ...]:
    """Choose the numbers of blocks to measure.

    All blocks of a small model, two small numbers of a larger one, none of a very large one.
    """
    n_blocks = model.config.num_hidden_layers
    if model.num_parameters() <= SMALL:
        return (n_blocks,)
    for few, more in ((1, 3), (1, 2)):
        if more < n_blocks and _parameters_with(model, more) <= LARGEST_TRIAL:
            return few, more
    return ()


def _parameters_with(model: PreTrainedModel, blocks: int) -> int:
    with torch.device("meta"):
        return type(model)(_with_blocks(model.config, blocks)).num_parameters()


def _best(key: _Key, batch: Batch, head: bool) -> float:
    """Return the minimum measured seconds of a trial without adapters.

    The trial is measured again if the last measurement is older than `FORGET_SECONDS`.
    """
    place = key, batch, head, torch.get_num_threads()
    seconds, timestamp = _BASE.get(place, (math.inf, -math.inf))
    if time.monotonic() - timestamp > FORGET_SECONDS:
        (now,) = fastest(_step(_trial(key, batch.dtype), batch, head))
        _BASE[place] = min(now, seconds), time.monotonic()
        log.debug("a step without adapters: %.4f s, %s", now, batch)
    return _BASE[place][0]


@functools.lru_cache(maxsize=4)
def _trial(key: _Key, dtype: torch.dtype) -> PreTrainedModel:
    """Build a frozen model with random weights."""
    with ONE_THREAD, torch.random.fork_rng(devices=[]):
        model = key.kind(key.config).requires_grad_(False).to(device(), dtype).train()
    model.enable_input_require_grads()  # so that the backward pass reaches the input
    return model


def _adapted(key: _Key, config: PeftConfig, dtype: torch.dtype) -> PeftModel:
    """Add adapters to the trial model, with shared base weights."""
    base = _trial(key, dtype)
    shared = {id(tensor): tensor for tensor in [*base.parameters(), *base.buffers()]}
    with ONE_THREAD, torch.random.fork_rng(devices=[]):
        return adapters.add_adapter(copy.deepcopy(base, shared), copy.deepcopy(config))


def _step(model: PreTrainedModel | PeftModel, batch: Batch, head: bool) -> Callable[[], None]:
    """Build a forward and backward pass for timing.

    With `head`, it includes the head and the loss; otherwise only the blocks.
    """
    ids = torch.ones(batch.rows, batch.length, dtype=torch.long, device=device())
    whole: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    classifies = "Classification" in type(whole).__name__
    labels = ids[:, 0] * 0 if classifies else ids
    blocks = getattr(whole, whole.base_model_prefix)
    mixed = torch.autocast(device().type, batch.dtype, enabled=batch.dtype != torch.float32)

    def step() -> None:
        with mixed:
            if head:
                result = whole(input_ids=ids, attention_mask=ids, labels=labels).loss
            else:
                result = blocks(input_ids=ids, attention_mask=ids)[0].float().mean()
        result.backward()

    return step


def _on_every_block(config: PeftConfig, n_blocks: int) -> tuple[PeftConfig, float]:
    """Return the config for all blocks, and the fraction of blocks that it selected."""
    blocks = getattr(config, "layers_to_transform", None)
    if blocks is None:
        return config, 1.0
    config = copy.deepcopy(config)
    vars(config).update(layers_to_transform=None, layers_pattern=None)
    return config, (1 if isinstance(blocks, int) else len(blocks)) / n_blocks


def _part_of(model: PreTrainedModel, batch: Batch) -> tuple[Batch, float]:
    """Reduce a batch to a measurable size, and return the reduction factor.

    Reduces the number of rows first, then their length.
    """
    parameters = _parameters_with(model, _trial_sizes(model)[-1])
    seconds = _by_products(parameters, model.config.hidden_size, batch)
    if seconds <= LONGEST_STEP:
        return batch, 1.0
    tokens = max(FEWEST_TOKENS, int(batch.rows * batch.length * LONGEST_STEP / seconds))
    length = min(batch.length, tokens)
    part = dataclasses.replace(batch, rows=min(batch.rows, max(1, tokens // length)), length=length)
    return part, batch.rows * batch.length / (part.rows * part.length)


def _by_products(parameters: int, width: int, batch: Batch) -> float:
    """Estimate the seconds of a step from the measured speed of a square matrix product.

    Each weight and token costs two operations in the forward pass and two in the backward pass.
    """
    tokens = batch.rows * batch.length
    few = min(tokens, MOST_TOKENS)
    return 4 * parameters * tokens / _speed(few, width, batch.dtype, torch.get_num_threads())


@functools.lru_cache(maxsize=64)
def _speed(tokens: int, width: int, dtype: torch.dtype, n_threads: int) -> float:
    """Measure operations per second of a (tokens × width) by (width × width) product."""
    x = torch.randn(tokens, width, device=device(), dtype=dtype)
    weight = torch.randn(width, width, device=device(), dtype=dtype)
    return 2 * tokens * width**2 / fastest(lambda: x @ weight)[0]


def head_seconds(reader: str, in_features: int, n_classes: int, rows: int, tokens: int) -> float:
    """Measure the seconds of one forward and backward pass: without a model.

    Example:
        >>> head_seconds("linear", 8, 3, rows=4, tokens=5) > 0
        True
    """
    return _head_seconds(reader, in_features, n_classes, rows, tokens, torch.get_num_threads())


@functools.lru_cache(maxsize=64)
def _head_seconds(
    reader: str, in_features: int, n_classes: int, rows: int, tokens: int, threads: int
) -> float:
    head = head_named(reader)
    with torch.random.fork_rng(devices=[]):
        network = head.module(in_features, n_classes)
        shape = (rows, tokens, in_features) if head.reads_tokens else (rows, in_features)
        features = torch.randn(shape, requires_grad=True)
    mask = (torch.ones(rows, tokens, dtype=torch.long),) if head.reads_tokens else ()
    return fastest(lambda: network(features, *mask).logsumexp(-1).sum().backward())[0]
