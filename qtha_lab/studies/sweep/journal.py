"""Optuna's journal of a sweep as far as it is whole: damaged lines and all after them are ignored or cut.

Numbers of trials follow from the order of lines, so lines after a damaged one cannot be trusted.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend, JournalStorage

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import parse_json, read_bytes

log = logging.getLogger(__name__)

LIMIT = 2**29
"""Bytes of a journal."""


class _Lines(BaseJournalBackend):
    """A journal in memory, read once and never written."""

    def __init__(self, logs: list[dict[str, Any]]) -> None:
        self.logs, self.applied = logs, 0

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        for number, each in enumerate(self.logs[log_number_from:], log_number_from):
            self.applied = number  # asked for the next one when this one was applied
            yield each

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise Refusal("The trials of a sweep are read here and must be written by its scheduler.")


def read_journal(path: Path) -> tuple[JournalStorage, int]:
    """Replay the whole part of a journal.

    Returns:
        The storage, and the number of bytes up to the first damaged line.

    Raises:
        Refusal: If the file cannot be read at all.
    """
    data = read_bytes(path, LIMIT, links=False)
    logs, ends = _whole_lines(data)
    lines = _Lines(logs)
    try:
        return JournalStorage(lines), ends[-1]
    except Exception as reason:  # Optuna asserts, and looks up whatever a damaged line names
        log.warning("%s is damaged in line %d: %r", path, lines.applied + 1, reason)
    whole = logs[: lines.applied]
    return JournalStorage(_Lines(whole)), ends[len(whole)]


def cut_damage(path: Path) -> None:
    """Cut a journal before its first damaged line; the file as it was stays beside it as `NAME.damaged`."""
    _, whole = read_journal(path)
    size = path.stat().st_size
    if whole == size:
        return
    if read_bytes(path, LIMIT, links=False)[whole:].strip(b"\0 \n"):
        shutil.copy2(path, path.with_name(f"{path.name}.damaged"))
    log.warning("%s is cut from %d to %d bytes", path, size, whole)
    os.truncate(path, whole)


def _whole_lines(data: bytes) -> tuple[list[dict[str, Any]], list[int]]:
    """Parse lines up to the first damaged one; the ends of them in bytes, beginning with 0."""
    logs: list[dict[str, Any]] = []
    ends = [0]
    for line in data.split(b"\n")[:-1]:
        try:
            value = parse_json(line)
        except Refusal as reason:
            log.debug("line %d is damaged: %s", len(ends), reason)
            break
        if not isinstance(value, dict):
            break
        logs.append(value)
        ends.append(ends[-1] + len(line) + 1)
    return logs, ends
