"""Append-only event log of a run: `events.jsonl`, one JSON object per line.

The worker writes it; other processes read it, also during a write or after a crash in the middle of
a line. Independent of run directories and processes.
The Trainer of transformers writes its history with a checkpoint only, and as a whole.

Computes a `Status` from events; does not check if a worker is running.
"""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import finite, open_file, open_shared, parse_json, sync
from qtha_lab.experiment.run_directory.schema import is_event

log = logging.getLogger(__name__)

DURABLE = ("status", "checkpoint", "note", "annotation")
MEASURED = (
    "train",
    "eval",
    "round",
    "test",
    "general",
    "generation",
    "whole_base",
    "spectrum",
    "bottleneck",
)
TAIL_BYTES = 1 << 13
CHUNK = 1 << 24
"""Bytes read at once; a log with fewer line ends is damaged."""
LONGEST_MESSAGE = 2000
"""Characters of a message; more are cut off when an event is written or read."""


class EventLog:
    """Writer of an event log; each event is one write call, so lines never mix.

    If the file ends in a partial line, the writer starts a new line. Event times are the wall clock
    at opening plus a monotonic clock, so changes of the wall clock do not affect durations. The
    last status is repeated periodically, so the end of a long log always contains the state.
    """

    def __init__(self, path: Path) -> None:
        self._fd = open_shared(path, os.O_RDWR | os.O_APPEND)
        self._offset = time.time() - time.monotonic()
        self._status: dict[str, Any] = {}
        self._since_status = 0
        self._is_cut = False
        size = os.fstat(self._fd).st_size
        if not size:
            sync(path.parent)
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            os.write(self._fd, b"\n")

    def append(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Append one event; durable kinds are synced to the disk before the call returns."""
        if isinstance(message := fields.get("message"), str):
            fields["message"] = message[:LONGEST_MESSAGE]
        event = finite({"t": self._offset + time.monotonic(), "kind": kind, **fields})
        self._write(event)
        if kind == "status":
            self._status, self._since_status = fields, 0
        elif self._status and self._since_status > TAIL_BYTES // 2:
            repeated = self._status | {"step": fields.get("step", self._status.get("step", 0))}
            self._write({"t": event["t"], "kind": "status", **repeated, "again": True})
            self._since_status = 0
        if kind in DURABLE:
            os.fsync(self._fd)
        return event

    def _write(self, event: dict[str, Any]) -> None:
        line = json.dumps(event, ensure_ascii=False, allow_nan=False)
        data = line.encode("utf-8", errors="replace") + b"\n"
        self._since_status += len(data)
        if self._is_cut:  # a full disk truncated the previous line
            data = b"\n" + data
        while data:
            written = os.write(self._fd, data)
            self._is_cut = written < len(data)
            data = data[written:]

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def read_events(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Read the events after a byte offset, and return the next offset.

    An incomplete last line is left for the next call. A line that is no event becomes
    `{"kind": "broken", "offset": …}`, and reading continues after it. If the file is shorter than
    the offset, it is read from the beginning.
    """
    try:
        with open_file(path, links=False) as file:
            if offset > os.fstat(file.fileno()).st_size:
                offset = 0
            file.seek(offset)
            chunks = []
            while chunk := file.read(CHUNK):
                chunks.append(chunk)
                if len(chunk) == CHUNK and b"\n" not in chunk:  # no event is so long
                    break
    except (FileNotFoundError, Refusal) as reason:
        log.debug("no events: %s", reason)
        return [], 0
    data = b"".join(chunks)
    complete = data[: data.rfind(b"\n") + 1]
    return parse_events(complete, offset), offset + len(complete)


def read_tail(path: Path, size: int = TAIL_BYTES) -> list[dict[str, Any]]:
    """Read the events at the end of the file.

    Contains at least the last status, if there is one.
    """
    try:
        length = path.stat().st_size
    except OSError as reason:
        log.debug("no events: %s", reason)
        return []
    whole = length <= size
    events = read_events(path, 0 if whole else length - size)[0]
    events = [e for e in events[0 if whole else 1 :] if e["kind"] != "broken"]
    if whole or any(event["kind"] == "status" for event in events):
        return events
    return read_tail(path, size * 4)


def history(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the valid events of a run, without superseded ones.

    When a run resumes from a checkpoint, measurements of later steps are superseded. For each kind
    and step of a measurement, the last line is valid.

    Example:
        >>> train = {"kind": "train", "step": 7, "loss": 3.0}
        >>> history([train, {"kind": "status", "state": "running", "step": 5}])
        [{'kind': 'status', 'state': 'running', 'step': 5}]
    """
    valid: dict[Any, dict[str, Any]] = {}
    for number, event in enumerate(events):
        kind = event["kind"]
        if kind == "status" and event.get("state") == "running":
            resumed = event.get("step", 0)
            later = [k for k in valid if k[0] in MEASURED and k[1] > resumed]
            for key in later:
                del valid[key]
        key = (kind, event.get("step")) if kind in MEASURED else (kind, f"line {number}")
        valid.pop(key, None)
        valid[key] = event
    return list(valid.values())


def parse_events(data: bytes, offset: int = 0) -> list[dict[str, Any]]:
    """Parse the events in complete lines; other lines become `broken` events."""
    return list(_parse(data, offset))


def _parse(data: bytes, offset: int):
    t = 0.0
    for line in data.splitlines(keepends=True):
        event = _event(line)
        if event is not None:
            t = event.setdefault("t", t)
            yield event
        elif line.strip():
            yield {"t": t, "kind": "broken", "offset": offset, "bytes": len(line)}
        offset += len(line)


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = parse_json(line, constants=False)
    except Refusal as reason:
        log.debug("a line of the events is broken: %s", reason)
        return None
    if not is_event(event):
        return None
    if event["kind"] == "status":
        event.setdefault("message", "")
    if isinstance(message := event.get("message"), str):
        event["message"] = message[:LONGEST_MESSAGE]
    return event


TERMINAL = ("stopped", "finished", "failed", "diverged", "dead", "unreadable")
RESUMABLE = ("stopped", "failed", "dead", "diverged")
SUMMARISED = ("finished", "diverged")
RATE_STEPS = 20


@dataclass(frozen=True)
class Status:
    """State of a run: queued, loading, running, stopping, or its end."""

    state: str
    step: int
    steps: int
    message: str = ""
    seconds_left: float | None = None

    @property
    def ended(self) -> bool:
        """True if the run has ended and only a resume can continue it."""
        return self.state in TERMINAL


def last_status(events: list[dict[str, Any]], steps: int) -> Status | None:
    """Return the last recorded state, or None if no state was recorded."""
    status = next((event for event in reversed(events) if event["kind"] == "status"), None)
    if status is None:
        return None
    left = seconds_left(events, steps) if status["state"] == "running" else None
    return Status(status["state"], last_step(events), steps, status["message"], left)


def last_step(events: list[dict[str, Any]]) -> int:
    """Return the last step; after a resume, counting restarts at the checkpoint."""
    for event in reversed(events):
        if event["kind"] == "train" or (event["kind"] == "status" and event["state"] == "running"):
            return event["step"]
    return next((e["step"] for e in reversed(events) if e["kind"] == "status"), 0)


def seconds_left(events: list[dict[str, Any]], steps: int) -> float | None:
    """Estimate the remaining seconds from the pace of the last steps, evaluations included.

    Example:
        >>> took = [{"kind": "train", "step": s, "t": 2.0 * s} for s in (1, 2, 3)]
        >>> seconds_left(took, steps=10)
        14.0
    """
    begins = [i for i, event in enumerate(events) if _begins(event)]
    since = events[begins[-1] if begins else 0 :]
    train = [event for event in since if event["kind"] == "train"][-RATE_STEPS:]
    if not train:
        return None
    left = max(0, steps - train[-1]["step"])
    if len(train) == 1:
        return left * train[0].get("seconds", 0.0)
    return left * max(0.0, train[-1]["t"] - train[0]["t"]) / (len(train) - 1)


def _begins(event: dict[str, Any]) -> bool:
    """Return True if training starts or resumes with this event, not a repetition."""
    running = event["kind"] == "status" and event["state"] == "running"
    return running and not event.get("again")
