"""Calibration rows of quantisation schemes, and the cache of calibration results.

The rows are training rows of the shipped task `chat`, so one calibration serves every method, seed
and task. The result is a safetensors file named after model, setting and rows. A damaged file is
recomputed.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from safetensors.torch import save
from torch import Tensor

from qtha_lab import tasks
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder, open_tensors, remove, write_atomically
from qtha_lab.core.paths import cache_dir
from qtha_lab.tasks.formatting import render
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

    Args:
        parts: Everything that the result depends on, as plain values.
        learn: Function that computes the result.
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
