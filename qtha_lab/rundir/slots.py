"""Locks that die with their process, and the queue of runs built on them (POSIX flock).

A worker holds the lock of its run directory while it lives and one of N slots while it computes.
Nothing has to be cleaned up after a kill: the kernel frees the locks.
"""

from __future__ import annotations

import fcntl
import functools
import logging
import os
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1


def hold(path: Path, patience: float = 0.0) -> int | None:
    """Take the lock of a file; the descriptor that holds it, or None where another process does.

    Args:
        patience: Seconds to keep trying.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except BlockingIOError:
            if time.monotonic() >= end:
                os.close(fd)
                return None
            time.sleep(0.02)


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock of a file."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def sign(fd: int, pid: int) -> None:
    """Write into a lock file whose it is: a process of this machine."""
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{pid} {socket.gethostname()}\n".encode(), 0)


def signature(path: Path) -> tuple[int, str] | None:
    """The process id and the machine written in a lock file; None where it is not signed."""
    try:
        pid, *machine = path.read_text().split()
        return int(pid), machine[0] if machine else socket.gethostname()
    except (OSError, ValueError) as reason:
        log.debug("whose lock %s is cannot be read: %s", path, reason)
        return None


def holder(path: Path) -> int | None:
    """The process of this machine that is written in a lock file that is held, so never that of a stranger."""
    if not is_held(path) or (signed := signature(path)) is None:
        return None
    pid, machine = signed
    return pid if machine == socket.gethostname() else None


def n_cores() -> int:
    """Physical cores that this process may use."""
    n_allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(_physical_cores(), n_allowed or 1))


@functools.cache
def _physical_cores() -> int:
    import psutil

    return psutil.cpu_count(logical=False) or 1


def n_threads(chosen: int | None = None) -> int:
    """CPU threads of a run: as asked, else `OMP_NUM_THREADS`, else the cores shared among the slots."""
    if is_chosen(chosen):
        return chosen or max(1, int(os.environ["OMP_NUM_THREADS"]))
    return max(1, n_cores() // n_slots())


def is_chosen(threads: int | None) -> bool:
    """Whether somebody named a number of threads, in the experiment or as `OMP_NUM_THREADS`."""
    return bool(threads) or os.environ.get("OMP_NUM_THREADS", "").isdigit()


def n_slots(threads: int | None = None) -> int:
    """Runs that compute at once: `QTHA_LAB_SLOTS`, else cores by threads per run, else two on two cores."""
    text = os.environ.get("QTHA_LAB_SLOTS", "")
    if text.isdigit() and int(text) > 0:
        return int(text)
    return max(1, n_cores() // threads) if threads else min(2, n_cores())


def shared_folder(runs_dir: Path, beside: Path) -> Path:
    """Where runs queue: in the runs folder; where that cannot be written to, beside the run itself."""
    folder = runs_dir / ".slots"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as reason:
        log.info("%s cannot be used (%s): runs queue in %s", folder, reason.strerror, beside)
        return beside / ".slots"


class Queue:
    """Where runs wait for one of the slots, first come, first served.

    A ticket is a file named by its time, or later than any before it, whose lock is held while its
    owner waits; the ticket of a dead owner is free and ignored.
    """

    def __init__(self, folder: Path, slots: int) -> None:
        self.folder, self.slots = folder, slots

    def ticket(self, name: str) -> tuple[Path, int]:
        """Join the queue; the file appears there locked, or another waiter would take it for dead.

        Args:
            name: Of the run, for people who look into the queue.

        Returns:
            The ticket's file and the descriptor that holds its lock.
        """
        queue = self.folder / "queue"
        queue.mkdir(parents=True, exist_ok=True)
        before = [int(entry.name.split("-")[0]) for entry in queue.iterdir()]
        path = queue / f"{max([time.time_ns(), *(n + 1 for n in before)]):020d}-{name}"
        making = self.folder / f"{path.name}.new"
        fd = hold(making)
        if fd is None:
            raise RuntimeError(f"another process holds the new ticket {making}")
        making.rename(path)
        return path, fd

    def wait(self, ticket: Path, give_up: Callable[[], bool]) -> int | None:
        """The descriptor of a slot when it is this ticket's turn; None if `give_up` says so first."""
        begin = time.monotonic()
        while not give_up():
            if self._is_first(ticket) and (slot := self._first_free()) is not None:
                seconds = time.monotonic() - begin
                log.info("%s has a slot after %.1f s in %s", ticket.name, seconds, self.folder)
                return slot
            time.sleep(POLL_SECONDS)
        return None

    def _first_free(self) -> int | None:
        slots = (hold(self.folder / str(number)) for number in range(self.slots))
        return next((fd for fd in slots if fd is not None), None)

    def _is_first(self, ticket: Path) -> bool:
        for rival in sorted(ticket.parent.iterdir()):
            if rival.name >= ticket.name:
                return True
            if is_held(rival):
                return False
            log.debug("the ticket %s is of a process that is gone", rival.name)
            rival.unlink(missing_ok=True)
        return True
