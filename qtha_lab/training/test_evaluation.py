"""Final test of a trained adapter, on rows that no choice used.

Besides the loss of each test row, it records two losses. The loss on training rows gives the
generalisation gap. The loss on general prose with and without the adapter gives the forgetting.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

from qtha_lab import adapters
from qtha_lab.core.io import read, read_mapping, write_json
from qtha_lab.core.paths import data_dir
from qtha_lab.training.evaluation import evaluating
from qtha_lab.training.session import Session, optional_measurement
from qtha_lab.training.setup import Loaded

TRAINING_ROWS = 256  # upper limit; sufficient for the generalisation gap, which supports no claim
log = logging.getLogger(__name__)


def write_test(
    session: Session, loaded: Loaded, step: int, autocast: Callable[[], AbstractContextManager]
) -> None:
    """Record the test rows' losses in `test.json`, and the overall losses as events.

    Does nothing without test rows.

    Raises:
        Interrupted: If a stop is requested during the test.
    """
    task = loaded.task
    if not task.test:
        return
    if session.is_recorded("test", step) and read_mapping(session.run.test) is not None:
        return
    longest = session.training.max_length
    rows = task.encode(task.test, loaded.rows.tokenizer, longest)
    session.report("running", f"testing on {len(rows)} rows", step=step)
    with evaluating(loaded.model), autocast():
        predictions = loaded.predictions(session, rows)
        trained = loaded.predictions(session, loaded.training_rows[: min(len(rows), TRAINING_ROWS)])
        general = None
        if task.has_answers and not task.is_seq2seq:
            with optional_measurement("losses on general prose", session.note):
                general = _general_losses(session, loaded)
    losses, counts = predictions.by_row()
    recorded = {"step": step, "items": [identity(row) for row in rows]}
    recorded |= {"keys": numbered(task.encoded_keys(task.test, loaded.rows.tokenizer, longest))}
    recorded |= {"key_name": task.key_name, "losses": losses, "labels": counts}
    write_json(session.run.test, recorded)
    if general is not None:
        session.log.append("general", step=step, loss=general[1], loss_base=general[0])
    scores = predictions.scores(task.kind, task.scale, task.labels)
    session.log.append("test", step=step, **scores, train_loss=trained.loss)


def numbered(keys: Iterable[str]) -> list[int]:
    """Return the number of each key in the order of first appearance.

    Example:
        >>> numbered(["b", "a", "b"])
        [0, 1, 0]
    """
    numbers: dict[str, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys]


def identity(row: dict) -> str:
    """Compute an identifier of an encoded row from its tokens and labels.

    Equal rows have the same identifier in every run on one model.

    Example:
        >>> identity({"input_ids": [1, 2], "labels": [-100, 2], "attention_mask": [1, 1]})
        '37d30bc36552'
    """
    rejected = [row["rejected"]["input_ids"]] if "rejected" in row else []
    text = json.dumps([row["input_ids"], row["labels"], *rejected])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def general_rows(tokenizer, longest: int) -> list[dict]:
    """Encode the paragraphs of `data/general.txt` as rows in which every token is predicted.

    Returns no row if the file is missing.
    """
    file = data_dir() / "general.txt"
    if not file.is_file():
        log.info("forgetting is not measured: there is no %s", file)
        return []
    texts = read(file).splitlines()
    ids = tokenizer(texts, truncation=True, max_length=longest)["input_ids"]
    return [{"input_ids": row, "attention_mask": [1] * len(row), "labels": row} for row in ids]


def _general_losses(session: Session, loaded: Loaded) -> tuple[float, float] | None:
    """Compute the loss on general prose without and with the adapter."""
    rows = general_rows(loaded.rows.tokenizer, session.training.max_length)
    if not rows:
        return None
    with adapters.base_alone(loaded.model):
        base = loaded.predictions(session, rows).loss
    return base, loaded.predictions(session, rows).loss
