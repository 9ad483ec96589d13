"""The start of a run's worker, through the fork server or as a process.

In both cases the worker inherits the run's lock. The outcome of the run is in its directory
(`qtha_lab.runs.run`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
from collections.abc import Callable, Iterator

from qtha_lab.core import locks
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import append_shared, refuse_inner_links, remove_file, shortened
from qtha_lab.core.processes import module_command
from qtha_lab.experiment.run_directory import (
    RunDir,
    checkpoints,
)
from qtha_lab.experiment.run_directory import (
    exit_status as ending,
)
from qtha_lab.experiment.run_directory import (
    queue as slots,
)
from qtha_lab.experiment.run_directory.events import EventLog, read_tail
from qtha_lab.experiment.run_directory.status import last_step
from qtha_lab.runs import fork_server as warm

log = logging.getLogger(__name__)


def start_worker(files: RunDir, *, anew: bool = False) -> None:
    """Start a worker that inherits the run's lock, so that no second worker can start.

    Args:
        files: The run's directory.
        anew: Begin at step 0 again; existing checkpoints are set aside.

    Raises:
        Refusal: If the run already has a worker.
    """
    with taken_over(files, "starting", anew=anew) as lock, append_shared(files.log) as output:
        fork = warm.fork_worker(files, lock, output.fileno())
        log.info("%s starts %s", files.path.name, "cold" if fork is None else "warm")
        if fork is None:
            ending.watch(files, _start_process(files, lock, output.fileno()))
        else:
            copies = os.dup(lock), os.dup(output.fileno())
            ending.watch(files, lambda: _wait_forked(fork, files, *copies))


@contextlib.contextmanager
def taken_over(files: RunDir, message: str, *, anew: bool = False) -> Iterator[int]:
    """Hold the lock of a run before its worker starts, and queue the run.

    A stop request is cleared.

    Args:
        files: The run's directory.
        message: Reason of the wait.
        anew: Begin at step 0 again; existing checkpoints are set aside.

    Yields:
        The descriptor that holds the run's lock, which no worker has signed yet.

    Raises:
        Refusal: If the run already has a worker, or was deleted.
    """
    try:
        lock = slots.hold(files.lock, patience=5)
    except FileNotFoundError:
        raise Refusal(
            f"Run {shortened(files.path.name)} must be in its folder, got none. Restore it from "
            "the trash."
        ) from None
    if lock is None:
        pid = slots.holder(files.lock)
        raise Refusal(
            f"Run {files.path.name} must have one worker, got a second one. Stop process {pid} "
            "first."
        )
    try:
        refuse_inner_links(files.path)
        remove_file(files.stop)
        if anew:
            _forget_checkpoints(files)
        record_status(files, "queued", message)
        with append_shared(files.log) as output:
            output.write(f"{ending.BEGIN}\n".encode())
        os.ftruncate(lock, 0)
        yield lock
    finally:
        os.close(lock)


def _start_process(files: RunDir, lock: int, output: int) -> Callable[[], None]:
    """Start a worker as a new process that imports its libraries itself.

    Until its end, a run whose lock no process can inherit counts as sent.

    Returns:
        Function that waits for the worker and records its exit.
    """
    sent = None if locks.INHERITS else slots.hold(files.sent)
    worker = locks.start_holding(
        module_command("qtha_lab.runs.worker", str(files.path)),
        lock,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
    )
    if locks.INHERITS:
        slots.sign(lock, worker.pid)

    def wait() -> None:
        ending.record_exit(files, worker.pid, worker.wait())
        if sent is not None:
            os.close(sent)

    return wait


def _wait_forked(fork: warm.ForkedStart, files: RunDir, lock: int, output: int) -> None:
    """Wait for a worker that the fork server forks; if it cannot, start a process.

    Args:
        fork: The requested worker.
        files: The run's directory.
        lock: A copy of the lock's descriptor, which holds the run until its worker is known.
        output: A copy of the log's descriptor.
    """
    wait = fork.wait
    try:
        if not fork.forked():
            wait = _start_process(files, lock, output)
    finally:
        os.close(lock)
        os.close(output)
    wait()


def record_status(files: RunDir, state: str, message: str) -> None:
    """Append a status event at the last step of the log.

    Args:
        files: The run's directory.
        state: "queued", "stopped" and so on.
        message: Explanation for the user.
    """
    events = EventLog(files.events)
    events.append("status", state=state, step=last_step(read_tail(files.events)), message=message)
    events.close()


def _forget_checkpoints(files: RunDir) -> None:
    """Set all checkpoints aside, and record a restart at step 0 in the log."""
    for path in checkpoints.by_step(files.checkpoints).values():
        checkpoints.set_aside(path)
    events = EventLog(files.events)
    events.append("note", step=0, message="begun again at step 0 on request")
    events.append("checkpoint", step=0)
    events.close()
