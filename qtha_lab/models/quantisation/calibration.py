"""Calibration rows of quantisation schemes, and inputs and outputs of blocks."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from safetensors.torch import save
from torch import Tensor, nn

from qtha_lab import tasks
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder, open_tensors, remove, write_atomically
from qtha_lab.core.paths import cache_dir
from qtha_lab.tasks.messages import render
from qtha_lab.tasks.splits import in_evaluation_pool, in_test_pool

ROWS = 64
LENGTH = 128  # tokens of a row
BATCH = 1  # rows per batch, as in OmniQuant
Batch = dict[str, Tensor]
log = logging.getLogger(__name__)


def calibration_texts(tokenizer: Any, rows: int | None = None, skip: int = 0) -> list[str]:
    """Return conversations that contain no evaluation or test answer of a shipped task.

    Args:
        tokenizer: Tokenizer whose chat template formats the conversations.
        rows: Number of conversations; None takes `ROWS`.
        skip: Number of leading conversations to leave out.
    """
    texts, count = [], skip + (ROWS if rows is None else rows)
    for row in tasks.load_task("chat").train:
        rotations = [message["content"] for message in row["messages"]]
        if not any(
            in_evaluation_pool(rotation) or in_test_pool(rotation) for rotation in rotations
        ):
            texts.append(
                render(row["messages"], tokenizer)
                if tokenizer.chat_template
                else "\n".join(rotations)
            )
        if len(texts) == count:
            break
    return texts[skip:]


def batches_of(texts: list[str], tokenizer: Any, longest: int) -> list[Batch]:
    """Encode texts as batches of token ids and attention masks, padded on the right.

    Args:
        texts: Result of `calibration_texts`.
        tokenizer: Tokenizer of the model.
        longest: Largest number of tokens that the model accepts in a row.
    """
    length = min(LENGTH, longest)
    return [
        dict(
            tokenizer(
                texts[first : first + BATCH],
                truncation=True,
                max_length=length,
                padding=True,
                return_tensors="pt",
            )
        )
        for first in range(0, len(texts), BATCH)
    ]


def cached_calibration(
    parts: dict[str, Any], learn: Callable[[], dict[str, Tensor]]
) -> dict[str, Tensor]:
    """Return the cached calibration result, or compute and cache it.

    A file lock lets only one process compute the result.
    """
    text = json.dumps(parts, sort_keys=True)
    file = cache_dir() / "bits" / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.safetensors"
    with _alone(file):
        if (learnt := _read(file, text)) is None:
            learnt = {name: tensor.contiguous() for name, tensor in learn().items()}
            _write(file, text, learnt)
    return learnt


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Hold the lock of a file; other processes wait until it is released."""
    try:
        make_folder(file.parent)
        lock = FileLock(file.with_suffix(".lock")).acquire()
    except OSError as reason:
        raise Refusal(
            f"The cache folder {file.parent} must be writable, got {reason.strerror}. Set "
            "QTHA_LAB_CACHE to another folder."
        ) from reason
    with lock:
        yield


def _read(file: Path, parts: str) -> dict[str, Tensor] | None:
    """Return the tensors of a cache file; None for a missing, damaged or stale file."""
    try:
        with open_tensors(file) as opened:
            notes = opened.metadata() or {}
            learnt = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except FileNotFoundError:
        return None
    except ValueError as reason:  # a `Refusal` is one
        log.warning("calibration %s is damaged and is computed again: %s", file.name, reason)
        remove(file)
        return None
    if notes.get("parts") != parts or notes.get("sha256") != _digest(learnt):
        log.warning("calibration %s has another checksum and is computed again", file.name)
        remove(file)
        return None
    return learnt


def _write(file: Path, parts: str, learnt: dict[str, Tensor]) -> None:
    notes = {"parts": parts, "sha256": _digest(learnt)}
    write_atomically(file, save(learnt, metadata=notes))


def _digest(learnt: dict[str, Tensor]) -> str:
    whole = hashlib.sha256()
    for name, tensor in sorted(learnt.items()):
        whole.update(name.encode())
        whole.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()


@dataclass(frozen=True)
class BlockInputs:
    """Arguments of a block for one batch, with the hidden states held separately."""

    hidden: Tensor
    others: tuple
    named: dict[str, Any]

    def through(self, block: Callable) -> Tensor:
        """Compute the hidden states after a block."""
        result = block(self.hidden, *self.others, **self.named)
        return result[0] if isinstance(result, tuple) else result

    def with_hidden(self, hidden: Tensor) -> "BlockInputs":
        """Return a copy with other hidden states."""
        return replace(self, hidden=hidden)


class _Reached(Exception):  # noqa: N818  ends a forward pass whose rest is not needed
    """Signal that the forward pass has reached the first block."""


def blocks_of(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """Return the list of a model's transformer blocks, and its name."""
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module):
            return name, module
    raise Refusal(
        "quantization must not be learned for a model without a list of blocks, got a "
        f"{type(model).__name__}. Choose round or outliers."
    )


@torch.no_grad()
def first_calls(model: nn.Module, batches: Sequence[Batch]) -> list[BlockInputs]:
    """Record the arguments of the first block for each batch."""
    calls: list[BlockInputs] = []

    def catch(module: nn.Module, arguments: tuple, named: dict[str, Any]) -> None:
        hidden, *others = arguments or (named.pop("hidden_states"),)
        calls.append(BlockInputs(hidden, tuple(others), named))
        raise _Reached

    hook = blocks_of(model)[1][0].register_forward_pre_hook(catch, with_kwargs=True)
    try:
        for batch in batches:
            try:
                model(**batch, **_without_cache(model))
            except _Reached:
                log.debug("the first block was reached")
    finally:
        hook.remove()
    return calls


def _without_cache(model: nn.Module) -> dict[str, bool]:
    return {"use_cache": False} if hasattr(getattr(model, "config", None), "use_cache") else {}


@torch.no_grad()
def readers(block: nn.Module, call: BlockInputs) -> Iterator[tuple[list[str], Tensor]]:
    """Yield the groups of linear layers that read the same tensor, with that tensor."""
    from qtha_lab.models.quantisation.layers import rounded_layers

    read: dict[int, tuple[list[str], Tensor]] = {}
    hooks = []
    for name, layer in rounded_layers(block).items():

        def note(module: nn.Module, arguments: tuple, name: str = name) -> None:
            x = arguments[0]
            read.setdefault(id(x), ([], x))[0].append(name)  # holding x keeps its id unique

        hooks.append(layer.register_forward_pre_hook(note))
    try:
        call.through(block)
    finally:
        for hook in hooks:
            hook.remove()
    yield from read.values()
