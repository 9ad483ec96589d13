"""End of a worker that wrote no end itself: exit signal and last output.

The parent of a worker, a scheduler process, waits for it and writes `exit.json`. Without this
parent, only the log exists.
"""

from __future__ import annotations

import logging
import signal

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import printable, read_mapping, read_tail, write_json
from qtha_lab.experiment.run_directory import queue
from qtha_lab.experiment.run_directory.files import RunDir, check_disk_space

log = logging.getLogger(__name__)

BEGIN = "-- worker starts --"
FATAL = "Fatal Python error"
LAST_LINES = 5
LEAST_BYTES = 1 << 12  # disk space below which a worker may have failed to write its end
LOG_BYTES = 1 << 18


def record_exit(files: RunDir, pid: int, code: int) -> None:
    """Record the exit code of a worker."""
    log.info("%s: process %d ended with code %d", files.path.name, pid, code)
    if files.path.is_dir():
        try:
            write_json(files.path / "exit.json", {"pid": pid, "code": code})
        except OSError as reason:
            log.info("the exit status of %s is not stored: %s", files.path.name, reason)


def last_output(files: RunDir) -> str:
    """Describe the end of a worker that wrote no end itself, in one sentence.

    A SIGKILL that no process of this package sent usually comes from the kernel when memory is
    exhausted.
    """
    number = _signal(files)
    if number is None and files.path.is_dir():
        try:
            check_disk_space(files.path, LEAST_BYTES)
        except Refusal as full:  # a worker could not write this itself
            return str(full)
    if number is not None and number.name == "SIGKILL":
        return "killed by the system (SIGKILL): out of memory?"
    how = f"the worker died of {number.name}" if number else "the worker died"
    lines = _last_log(files)
    fatal = next((line for line in reversed(lines) if line.startswith(FATAL)), None)
    if fatal:
        return f"{how}: {fatal}; details in {files.log}"
    tail = "\n".join(lines[-LAST_LINES:])
    return how + (f"; its last output: {tail}" if tail else " without a word")


def _signal(files: RunDir) -> signal.Signals | None:
    """Return the signal that ended the last worker, or None if unknown.

    The lock file contains the process id of the last worker.
    """
    end = read_mapping(files.path / "exit.json") or {}
    try:
        signed = queue.signature(files.lock)
        if signed and end["pid"] == signed[0] and end["code"] < 0:
            return signal.Signals(-end["code"])
    except (TypeError, KeyError, ValueError) as reason:
        log.debug("%s: how its worker ended is not known: %r", files.path.name, reason)
    return None


def _last_log(files: RunDir) -> list[str]:
    """Read the output lines of the last worker, from the end of a long log."""
    try:
        text = read_tail(files.log, LOG_BYTES).decode("utf-8", errors="replace")
    except (FileNotFoundError, Refusal) as reason:
        log.debug("no output of a worker: %s", reason)
        return []
    return [printable(line) for line in text.rpartition(f"{BEGIN}\n")[2].splitlines()]
