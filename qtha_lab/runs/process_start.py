"""How the worker of a run is started: forked by the warm server, or as a process that imports everything itself.

Whichever it is, it is born with the run's lock. What becomes of the run is in its directory (`qtha_lab.runs.run`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator

from qtha_lab.runs import fork_server as warm
from qtha_lab.core.io import shortened
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.run_directory import (
    RunDir,
    checkpoints,
    exit_status as ending,
    queue as slots,
)
from qtha_lab.experiment.run_directory.events import EventLog, read_tail
from qtha_lab.experiment.run_directory.status import last_step

log = logging.getLogger(__name__)


def start_worker(files: RunDir, *, anew: bool = False) -> None:
    """Start a worker that is born with the run's lock, so that no second one can come between.

    Args:
        files: The run's directory.
        anew: Begin at step 0 again; checkpoints there are put aside.

    Raises:
        Refusal: If a worker is at the run.
    """
    with taken_over(files, "starting", anew=anew) as lock, files.log.open("ab") as output:
        fork = warm.start(files, lock, output.fileno())
        log.info("%s starts %s", files.path.name, "cold" if fork is None else "warm")
        if fork is None:
            worker = _start_cold(files, lock, output.fileno())
            ending.watch(files, lambda: _wait_for(worker, files))
        else:
            copies = os.dup(lock), os.dup(output.fileno())
            ending.watch(files, lambda: _wait_warm(fork, files, *copies))


@contextlib.contextmanager
def taken_over(files: RunDir, message: str, *, anew: bool = False) -> Iterator[int]:
    """Hold a run that a worker is about to be given, queued and no longer asked to stop.

    Args:
        files: The run's directory.
        message: What it waits for.
        anew: Begin at step 0 again; checkpoints there are put aside.

    Yields:
        The descriptor that holds the run's lock, which no worker has signed yet.

    Raises:
        Refusal: If a worker is at the run, or the run was deleted.
    """
    try:
        lock = slots.hold(files.lock, patience=5)
    except FileNotFoundError:
        raise Refusal(
            f"Run {shortened(files.path.name)} must be in its folder, but it was moved or deleted. "
            "Restore it from the trash."
        ) from None
    if lock is None:
        pid = slots.holder(files.lock)
        raise Refusal(f"run {files.path.name} already has a worker (process {pid})")
    try:
        files.stop.unlink(missing_ok=True)
        if anew:
            _forget_checkpoints(files)
        record_status(files, "queued", message)
        with files.log.open("ab") as output:
            output.write(f"{ending.BEGIN}\n".encode())
        os.ftruncate(lock, 0)
        yield lock
    finally:
        os.close(lock)


def _start_cold(files: RunDir, lock: int, output: int) -> subprocess.Popen:
    """A worker that imports its libraries itself."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "qtha_lab.runs.worker", str(files.path), "--lock", str(lock)],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=[lock],
        start_new_session=True,
    )
    slots.sign(lock, worker.pid)
    return worker


def _wait_for(worker: subprocess.Popen, files: RunDir) -> None:
    ending.record(files, worker.pid, worker.wait())


def _wait_warm(fork: warm.WarmStart, files: RunDir, lock: int, output: int) -> None:
    """Wait for a worker that the warm server forks; start it cold where that cannot.

    Args:
        lock: A copy of the lock's descriptor, so that the run is held until it is clear who works on it.
        output: A copy of the log's descriptor.
    """
    worker = None
    try:
        if not fork.forked():
            worker = _start_cold(files, lock, output)
    finally:
        os.close(lock)
        os.close(output)
    if worker is None:
        fork.wait()
    else:
        _wait_for(worker, files)


def record_status(files: RunDir, state: str, message: str) -> None:
    """Append a status event at the step that the log has come to.

    Args:
        files: The run's directory.
        state: "queued", "stopped" and so on.
        message: What a person should know of it.
    """
    events = EventLog(files.events)
    events.append("status", state=state, step=last_step(read_tail(files.events)), message=message)
    events.close()


def _forget_checkpoints(files: RunDir) -> None:
    """Put all checkpoints aside, and say in the log that the newest is none."""
    for path in checkpoints.by_step(files.checkpoints).values():
        checkpoints.set_aside(path)
    events = EventLog(files.events)
    events.append("note", step=0, message="begun again at step 0, as asked")
    events.append("checkpoint", step=0)
    events.close()
