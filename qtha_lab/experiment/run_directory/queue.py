"""Slots of concurrent runs, and the queue in which runs wait for them.

A run holds as many slots as it has threads, and on CUDA one GPU per process. Each slot is a file
whose lock is released when the run ends (`qtha_lab.core.locks`), so a killed run needs no cleanup.
A semaphore of multiprocessing stays taken when its holder is killed.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import logging
import os
import re
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import check_writable, make_folder, move, remove, whole_number
from qtha_lab.core.locks import hold as hold
from qtha_lab.core.locks import holder as holder
from qtha_lab.core.locks import is_locked as is_locked
from qtha_lab.core.locks import sign as sign
from qtha_lab.core.locks import signature as signature
from qtha_lab.core.processes import allowed_cores

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1  # of the first two in a queue; the others look less often, by their place
LONGEST_POLL = 20  # in units of POLL_SECONDS
UNCOUNTED = 4096  # number of slots from which a batch system is assumed to place the runs
TICKET = re.compile(r"(\d{20,22})-.+", re.ASCII)
LONGEST_TICKET = 200  # bytes of the name of a run in a ticket; a file name has at most 255
Taken = TypeVar("Taken")


def n_cores() -> int:
    """Return the number of physical cores that this process may use."""
    return max(1, min(_physical_cores(), len(allowed_cores())))


@functools.cache
def _physical_cores() -> int:
    import psutil

    return psutil.cpu_count(logical=False) or 1


def n_threads(chosen: int | None = None) -> int:
    """Choose the number of CPU threads of a run.

    The chosen number, else `OMP_NUM_THREADS`, else the cores divided by the slots.
    """
    return chosen or _threads_of_variable() or max(1, n_cores() // n_slots())


def is_chosen(threads: int | None) -> bool:
    """Return True if the experiment or `OMP_NUM_THREADS` sets a number of threads."""
    return bool(threads or _threads_of_variable())


def _threads_of_variable() -> int:
    """Return `OMP_NUM_THREADS`, at least 1; 0 if it is not a whole number."""
    number = whole_number(os.environ.get("OMP_NUM_THREADS", ""))
    return 0 if number is None else max(1, number)


def capacity() -> int:
    """Return the total number of slots: `QTHA_LAB_SLOTS`, else one per core."""
    return _asked_for() or n_cores()


def is_counted() -> bool:
    """Return True if runs wait for each other here.

    They do not under a batch system, which allocates resources itself.
    """
    return capacity() < UNCOUNTED


def slots_of(threads: int) -> int:
    """Return the number of slots of a run with so many threads.

    If there are fewer slots than cores, each slot stands for several cores.
    """
    cores = max(1, n_cores() // capacity())
    return max(1, min(capacity(), -(-threads // cores)))


def n_slots(threads: int | None = None) -> int:
    """Return the number of concurrent runs with so many threads each.

    None selects the default number of threads of a run.

    Example:
        >>> n_slots(threads=n_cores())
        1
    """
    if threads:
        return max(1, capacity() // slots_of(threads))
    return _asked_for() or min(2, n_cores())


def _asked_for() -> int:
    return whole_number(os.environ.get("QTHA_LAB_SLOTS", "")) or 0


def shared_folder(runs_dir: Path, beside: Path) -> Path:
    """Find the folder in which runs queue.

    The runs folder, else the folder of the run, else this user's cache folder.
    """
    for folder in (runs_dir / ".slots", beside / ".slots"):
        if _is_usable(folder):
            return folder
    folder = paths.cache_dir() / "slots"
    make_folder(folder)
    return folder


def _is_usable(folder: Path) -> bool:
    try:
        for place in (folder, folder / "queue"):
            make_folder(place, folder.parent)
            check_writable(place, folder.parent)
    except (OSError, Refusal) as reason:
        log.info("%s cannot be used (%s): another folder holds the queue", folder, reason)
        return False
    return True


def queue_places(folder: Path) -> list[Path]:
    """Return the lock files of the slots."""
    return [folder / str(number) for number in range(capacity())]


def computing(folder: Path) -> int:
    """Count the slots that runs on this machine hold now."""
    files = (file for file in folder.iterdir() if whole_number(file.name) is not None)
    return sum(is_locked(file) and _is_here(file) for file in files)


def _is_here(file: Path) -> bool:
    signed = signature(file)
    return signed is None or signed[1] == socket.gethostname()


def take(needed: Iterable[tuple[Sequence[Path], int]]) -> dict[Path, int] | None:
    """Lock a number of files of each list, all or none.

    Call only as first in the queue.

    Args:
        needed: Lists of files, each with the needed number of locks.

    Returns:
        Descriptors of the locks by file; None while too few files are free.
    """
    chosen: list[Path] = []
    for files, count in needed:
        free = [*itertools.islice((file for file in files if not is_locked(file)), count)]
        if len(free) < count:
            return None
        chosen += free
    for folder in {file.parent for file in chosen}:
        make_folder(folder)
    held = {file: fd for file in chosen if (fd := hold(file)) is not None}
    if len(held) < len(chosen):  # a process outside the queue locked a file first
        release(held)
        return None
    for file, fd in held.items():
        try:
            sign(fd, os.getpid())
        except OSError as reason:  # another user created the file
            log.debug("%s is not signed: %s", file, reason)
    return held


def release(held: dict[Path, int]) -> None:
    """Release locks."""
    for fd in held.values():
        os.close(fd)


class Queue:
    """First-come queue for shared resources.

    A ticket is a file whose name is a time stamp later than those of all earlier tickets. Its lock
    is held while its owner waits; the ticket of a terminated owner has no lock and is ignored.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ticket(self, name: str) -> tuple[Path, int]:
        """Join the queue with a locked ticket.

        The file is locked before it appears in the queue; otherwise another process would treat it
        as abandoned.

        Returns:
            Ticket file, and the descriptor of its lock.
        """
        queue = self.folder / "queue"
        make_folder(queue, self.folder.parent)
        last = max((number for number, _ in _tickets(queue)), default=0)
        path = queue / f"{max(time.time_ns(), last + 1):020d}-{_ticket_name(name)}"
        making = self.folder / f"{path.name}.new"
        fd = hold(making)
        if fd is None:
            raise RuntimeError(f"another process holds the new ticket {making}")
        move(making, path, self.folder)
        return path, fd

    def wait(
        self, ticket: Path, take: Callable[[], Taken | None], give_up: Callable[[], bool]
    ) -> Taken | None:
        """Wait until this ticket is first and `take` succeeds, and return its result.

        Returns None once `give_up` returns True.

        Args:
            ticket: Ticket file from `ticket`.
            take: Polled while this ticket is first, until it returns a value. It must take all
                resources or none, to avoid a deadlock.
            give_up: Polled during the wait.
        """
        begin = time.monotonic()
        while not give_up():
            ahead = self._ahead(ticket)
            if not ahead and (taken := take()) is not None:
                seconds = time.monotonic() - begin
                log.info(
                    "%s leaves the queue after %.1f s in %s", ticket.name, seconds, self.folder
                )
                return taken
            time.sleep(POLL_SECONDS * min(max(1, ahead), LONGEST_POLL))
        return None

    def wait_in_line(
        self, name: str, take: Callable[[], Taken | None], give_up: Callable[[], bool]
    ) -> Taken | None:
        """Join the queue, wait as `wait` does, and leave the queue."""
        ticket, fd = self.ticket(name)
        try:
            return self.wait(ticket, take, give_up)
        finally:
            remove(ticket)
            os.close(fd)

    def _ahead(self, ticket: Path) -> int:
        """Count the tickets from the first locked one to this one; remove abandoned ones."""
        own = (int(ticket.name.split("-")[0]), ticket.name)
        rivals = sorted(rival for rival in _tickets(ticket.parent) if rival < own)
        for place, (_, name) in enumerate(rivals):
            path = ticket.with_name(name)
            if is_locked(path):
                return len(rivals) - place
            try:
                remove(path)
            except OSError as reason:  # a folder of this name, or another user's file
                log.debug("the ticket %s stays: %s", path.name, reason)
        return 0


def _ticket_name(name: str) -> str:
    """Return a name that fits a file name with a number and a suffix.

    The digest of a longer name keeps its tickets apart from those of other runs.
    """
    data = os.fsencode(name)
    if len(data) <= LONGEST_TICKET:
        return name
    return f"{os.fsdecode(data[:80])}-{hashlib.sha256(data).hexdigest()[:32]}"


def _tickets(queue: Path) -> list[tuple[int, str]]:
    """List number and name of all tickets; other files in the folder are ignored."""
    matches = ((TICKET.fullmatch(name), name) for name in os.listdir(queue))
    return [(int(match[1]), name) for match, name in matches if match]
