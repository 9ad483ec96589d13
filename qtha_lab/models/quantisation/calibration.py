"""What ways of rounding learn from text: which rows, and what was learnt, kept in the cache folder.

The rows are training rows of the shipped task `chat`, so one calibration serves every method, seed and task. The
result is a safetensors file named after model, setting and rows; one that is damaged is made again.
"""

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from qtha_lab import tasks
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import open_tensors
from qtha_lab.core.paths import cache_dir
from qtha_lab.tasks.formatting import render
from qtha_lab.tasks.splits import in_evaluation_pool, in_test_pool

ROWS = 64
LENGTH = 128  # tokens of a row
BATCH = 1  # rows at a time, as OmniQuant looks at them
Batch = dict[str, Tensor]
log = logging.getLogger(__name__)


def calibration_texts(tokenizer: Any, rows: int | None = None, skip: int = 0) -> list[str]:
    """Conversations of which no turn is an answer that any shipped task evaluates or tests on.

    Args:
        tokenizer: Writes a conversation as its model reads it.
        rows: How many; None takes `ROWS`.
        skip: Take others, from so many on.
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
    """Token ids and attention masks, a few rows at a time, padded on the right.

    Args:
        texts: As `calibration_texts` gives them.
        tokenizer: Of the model.
        longest: Most tokens of a row that the model takes.
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


def remembered(parts: dict[str, Any], learn: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """What was learnt before for the same model, setting and rows, else what is learnt now; once at a time.

    Args:
        parts: All that the result depends on, as plain values.
        learn: Makes it.

    Raises:
        Refusal: If the cache folder cannot be written to.
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
    """Hold the lock of a file: others that want it made wait, and then find it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as reason:
        raise Refusal(
            f"the cache folder {file.parent} cannot be written to: {reason.strerror}; QTHA_LAB_CACHE names another"
        ) from reason
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _read(file: Path, parts: str) -> dict[str, Tensor] | None:
    """The tensors of a file, if it is whole and holds what was asked for."""
    try:
        with open_tensors(file) as opened:
            notes = opened.metadata() or {}
            learnt = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except FileNotFoundError:
        return None
    except ValueError as reason:  # a `Refusal` is one
        log.warning("calibration %s is damaged and is made again: %s", file.name, reason)
        file.unlink(missing_ok=True)
        return None
    if notes.get("parts") != parts or notes.get("sha256") != _digest(learnt):
        log.warning(
            "calibration %s holds other numbers than it was written with: made again", file.name
        )
        file.unlink()
        return None
    return learnt


def _write(file: Path, parts: str, learnt: dict[str, Tensor]) -> None:
    """Write beside the name and move there, so that the name never holds half a file."""
    new = file.with_suffix(".new")
    save_file(learnt, new, {"parts": parts, "sha256": _digest(learnt)})
    os.replace(new, file)


def _digest(learnt: dict[str, Tensor]) -> str:
    whole = hashlib.sha256()
    for name, tensor in sorted(learnt.items()):
        whole.update(name.encode())
        whole.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()
