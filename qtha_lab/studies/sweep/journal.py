"""Reader of Optuna's journal that ignores or cuts damaged lines and their successors.

The order of lines determines the trial numbers, so lines after a damaged one are unreliable.
Optuna's own reader fails at a damaged line.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend, JournalStorage

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import copy, parse_json, read_bytes, shortened, write_atomically

log = logging.getLogger(__name__)

LIMIT = 2**29
"""Bytes of a journal."""


class _Lines(BaseJournalBackend):
    """Read-only journal backend in memory."""

    def __init__(self, logs: list[dict[str, Any]]) -> None:
        self.logs, self.applied = logs, 0

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        for number, each in enumerate(self.logs[log_number_from:], log_number_from):
            self.applied = number  # Optuna requests the next line after applying this one
            yield each

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise Refusal(
            "Trials of a sweep must be written by its scheduler, got a write by a reader."
        )


def read_journal(path: Path) -> tuple[JournalStorage, int]:
    """Replay a journal up to its first damaged line.

    Returns:
        The storage, and the number of bytes before the first damaged line.

    Raises:
        Refusal: If the file cannot be read.
    """
    data = read_bytes(path, LIMIT, links=False)
    logs, ends = _whole_lines(data)
    lines = _Lines(logs)
    try:
        return JournalStorage(lines), ends[-1]
    except Exception as reason:  # a damaged line raises assertion or lookup errors in Optuna
        _warn(
            f"Line {lines.applied + 1} of {shortened(path)} is damaged: {shortened(repr(reason))}"
        )
    whole = logs[: lines.applied]
    return JournalStorage(_Lines(whole)), ends[len(whole)]


@functools.cache
def _warn(message: str) -> None:
    """Log a warning once, since each view reads the journal again."""
    log.warning("%s", message)


def cut_damage(path: Path) -> None:
    """Truncate a journal before its first damaged line.

    If more than zeros and whitespace is cut, the original file is copied to `NAME.damaged`.
    """
    _, whole = read_journal(path)
    data = read_bytes(path, LIMIT, links=False)
    if whole == len(data):
        return
    if data[whole:].strip(b"\0 \n"):
        copy(path, path.with_name(f"{path.name}.damaged"), inside=path.parent)
    log.warning("%s is cut from %d to %d bytes", path, len(data), whole)
    write_atomically(path, data[:whole])


def _whole_lines(data: bytes) -> tuple[list[dict[str, Any]], list[int]]:
    """Parse lines up to the first damaged one.

    Also returns the byte offsets of the line ends, beginning with 0.
    """
    logs: list[dict[str, Any]] = []
    ends = [0]
    for line in data.split(b"\n")[:-1]:
        try:
            value = parse_json(line)
        except Refusal as reason:
            log.debug("line %d is damaged: %s", len(ends), reason)
            break
        if not isinstance(value, dict) or not isinstance(value.get("study_name", ""), str):
            break
        logs.append(value)
        ends.append(ends[-1] + len(line) + 1)
    return logs, ends
