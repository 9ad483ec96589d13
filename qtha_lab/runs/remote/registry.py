"""The registry of remote backends, their protocol, and the sending of a run.

`machine.lock` in the run's directory is held here until the remote job has ended. This includes the
loss of a machine and the retry on another. So the run does not count as dead.
The worker dies with the process that waits for it, so a lost job can be retried on another machine.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from qtha_lab.core import call_syntax
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import append_shared
from qtha_lab.core.processes import module_command
from qtha_lab.core.registry import Registry
from qtha_lab.core.settings import check_settings, settings_of, unknown
from qtha_lab.experiment.run_directory import RunDir, queue
from qtha_lab.experiment.run_directory.events import last_status, read_tail
from qtha_lab.runs.process_start import record_status, taken_over


class RemoteBackend(Protocol):
    """A connected backend, created from its declared settings by `remote_backend_named`.

    Attributes:
        name: Text that connects another process to the same backend (`remote_backend_named`).
    """

    name: str

    def start(self, files: RunDir) -> None:
        """Start a worker on a run as soon as resources are free; return at once.

        Args:
            files: The directory of the run, which must have no worker.
        """
        ...

    def close(self) -> None:
        """Stop running jobs softly, wait for them, and disconnect."""
        ...


REMOTE_BACKENDS: Registry[type] = Registry("remote backend", "qtha_lab.runs.remote", prefix="on_")


def remote_backend(name: str) -> Callable[[type], type]:
    """Register a backend: a dataclass of settings whose `connect()` returns a `RemoteBackend`."""

    def register(kind: type) -> type:
        REMOTE_BACKENDS.add(name, kind, kind.__module__)
        return kind

    return register


def remote_backend_named(text: str) -> RemoteBackend:
    """Connect to a remote backend.

    Args:
        text: `NAME`, `NAME(option=value,…)`, or for the option `address` alone `NAME:ADDRESS`.

    Raises:
        Refusal: If there is no such kind or option, its package is missing, or nothing answers
            there.

    Example:
        >>> remote_backend_named("rey")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: Unknown remote backend 'rey': did you mean 'ray'? Known:
            ray, slurm
    """
    head, colon, address = text.partition(":")
    if colon and "(" not in head:
        name, options = head.strip(), {"address": address.strip()}
    else:
        name, options = call_syntax.parse_call(text, "remote backend")
    kind = REMOTE_BACKENDS.get_or_refuse(name)
    for option in options:
        if option not in settings_of(kind):
            raise unknown(f"option of {name}", option, settings_of(kind))
    described = kind(**options)
    check_settings(described)
    return described.connect()


def name_of(name: str, described: Any, **more: Any) -> str:
    """Return the text that names a backend: its kind with the settings beyond the defaults."""
    declared = settings_of(type(described))
    values = {option: getattr(described, option) for option in declared} | more
    return call_syntax.call(name, {k: v for k, v in values.items() if v != declared[k].default})


LOCK_SECONDS = 60.0  # for a lost machine's worker to release its lock
SOFT_SECONDS = 120.0


def variables() -> dict[str, str]:
    """Return the environment variables of this process for a remote worker."""
    return {name: value for name, value in os.environ.items() if name.startswith("QTHA_LAB_")}


def work_here(path: str, threads: int, variables: dict[str, str]) -> str:
    """Run the worker of a run until it has ended; an interrupt stops it softly.

    Returns:
        The reason if no worker could run; "" if the run's own log states its end.
    """
    files = RunDir(Path(path))
    if not files.exists:
        host = socket.gethostname()
        return f"All machines must share the folder of runs, but {host} has no {path}."
    end = time.monotonic() + LOCK_SECONDS
    while queue.is_locked(files.lock):
        if time.monotonic() > end:
            return f"a worker has been at the run for {LOCK_SECONDS:g} s and does not end"
        time.sleep(0.1)
    environment = {**os.environ, **variables, "OMP_NUM_THREADS": str(threads)}
    environment["QTHA_LAB_SLOTS"] = str(queue.UNCOUNTED)
    with append_shared(files.log) as output:
        worker = subprocess.Popen(
            module_command("qtha_lab.runs.worker", path, "--tether"),
            stdin=subprocess.PIPE,  # closes when this process ends
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    try:
        worker.wait()
    except BaseException:  # the job was cancelled
        worker.terminate()
        worker.wait(SOFT_SECONDS)
        raise
    finally:
        if worker.stdin is not None:
            worker.stdin.close()
    return ""


log = logging.getLogger(__name__)


def send(files: RunDir, backend: RemoteBackend, *, anew: bool = False) -> None:
    """Send a run to a remote backend, and return at once.

    Args:
        files: The directory of the run.
        backend: The remote backend.
        anew: Begin at step 0 again; existing checkpoints are set aside.

    Raises:
        Refusal: If the run has a worker, or was sent already.
    """
    if queue.is_locked(files.sent):
        raise Refusal(f"Run {files.path.name} must be sent once, got a second time.")
    with taken_over(files, "waiting for a machine", anew=anew):
        pass
    backend.start(files)


class Waiting:
    """The lock on a run that was sent; `ended` is called once after its job.

    Args:
        files: The directory of the run.
    """

    def __init__(self, files: RunDir) -> None:
        self.files = files
        self._lock = queue.hold(files.sent)

    def ended(self, problem: str = "", *, cancelled: bool = False) -> None:
        """Release the run; log its end if the worker has not.

        Args:
            problem: Reason why no worker could run; "" if one did.
            cancelled: True if the job was cancelled before it started.
        """
        lock, self._lock = self._lock, None
        if lock is None:
            return
        log.info("%s: its job has ended; %s", self.files.path.name, problem or "by itself")
        try:
            training = self.files.experiment.training
            status = last_status(read_tail(self.files.events), training.steps)
            if status is not None and status.ended:
                log.debug("%s reported: %s", self.files.path.name, status.state)
            elif cancelled:
                record_status(self.files, "stopped", "stopped before a machine took it")
            elif problem:
                record_status(self.files, "failed", problem)
        finally:
            os.close(lock)
