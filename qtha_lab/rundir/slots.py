"""How many runs compute at once, and the queue in which they wait for one another.

A run holds as many slots as it has threads, and on CUDA a card for each of its processes. Each is a file whose lock dies with
the run (`qtha_lab.locks`), so nothing has to be cleaned up after a kill.
"""

from __future__ import annotations

import functools
import itertools
import logging
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from qtha_lab.locks import hold, holder, is_held, sign, signature

__all__ = [
    "Queue", "capacity", "computing", "hold", "holder", "is_chosen", "is_counted", "is_held", "n_cores", "n_slots", "n_threads",
    "places", "release", "shared_folder", "sign", "signature", "slots_of", "take",
]  # fmt: skip

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1
UNCOUNTED = 4096  # slots where whoever placed the runs counts cores, cards and memory
Taken = TypeVar("Taken")


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


def capacity() -> int:
    """Slots in all: `QTHA_LAB_SLOTS`, else one for each core."""
    return _asked_for() or n_cores()


def is_counted() -> bool:
    """Whether runs wait for one another here: a batch system that places them counts by itself."""
    return capacity() < UNCOUNTED


def slots_of(threads: int) -> int:
    """Slots that a run of so many threads holds; where there are fewer slots than cores, each stands for some."""
    cores = max(1, n_cores() // capacity())
    return max(1, min(capacity(), -(-threads // cores)))


def n_slots(threads: int | None = None) -> int:
    """Runs that compute at once, each with so many threads; None is what a run takes where nobody said.

    Example:
        >>> n_slots(threads=n_cores())
        1
    """
    if threads:
        return max(1, capacity() // slots_of(threads))
    return _asked_for() or min(2, n_cores())


def _asked_for() -> int:
    text = os.environ.get("QTHA_LAB_SLOTS", "")
    return int(text) if text.isdigit() else 0


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


def places(folder: Path) -> list[Path]:
    """The files of the slots."""
    return [folder / str(number) for number in range(capacity())]


def computing(folder: Path) -> int:
    """How many slots are held by runs on this machine now."""
    files = (file for file in folder.iterdir() if file.name.isdigit())
    return sum(is_held(file) and _is_here(file) for file in files)


def _is_here(file: Path) -> bool:
    signed = signature(file)
    return signed is None or signed[1] == socket.gethostname()


def take(wanted: Iterable[tuple[Sequence[Path], int]]) -> dict[Path, int] | None:
    """The locks of so many files of each list, all of them or none; for whoever is first in the queue.

    Args:
        wanted: Files, each with how many of them are needed.

    Returns:
        The descriptors that hold the locks, by file; None while too few are free.
    """
    chosen: list[Path] = []
    for files, count in wanted:
        free = [*itertools.islice((file for file in files if not is_held(file)), count)]
        if len(free) < count:
            return None
        chosen += free
    held = {file: fd for file in chosen if (fd := hold(file)) is not None}
    if len(held) < len(chosen):  # somebody was quicker who does not queue
        release(held)
        return None
    for fd in held.values():
        sign(fd, os.getpid())
    return held


def release(held: dict[Path, int]) -> None:
    """Give locks back."""
    for fd in held.values():
        os.close(fd)


class Queue:
    """Where runs wait for what they share, first come, first served.

    A ticket is a file named by its time, or later than any before it, whose lock is held while its
    owner waits; the ticket of a dead owner is free and ignored.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

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

    def wait(
        self, ticket: Path, take: Callable[[], Taken | None], give_up: Callable[[], bool]
    ) -> Taken | None:
        """What `take` gives when it is this ticket's turn; None if `give_up` says so first.

        Args:
            ticket: As `ticket` gave it.
            take: Asked while this ticket is the first, until it gives something; it must give all or nothing, so that
                nobody holds what another waits for.
            give_up: Asked meanwhile.
        """
        begin = time.monotonic()
        while not give_up():
            if self._is_first(ticket) and (taken := take()) is not None:
                seconds = time.monotonic() - begin
                log.info("%s has its turn after %.1f s in %s", ticket.name, seconds, self.folder)
                return taken
            time.sleep(POLL_SECONDS)
        return None

    def turn(
        self, name: str, take: Callable[[], Taken | None], give_up: Callable[[], bool]
    ) -> Taken | None:
        """Join the queue, wait as `wait` does, and leave it.

        Args:
            name: As for `ticket`.
            take: As for `wait`.
            give_up: As for `wait`.
        """
        ticket, fd = self.ticket(name)
        try:
            return self.wait(ticket, take, give_up)
        finally:
            ticket.unlink(missing_ok=True)
            os.close(fd)

    def _is_first(self, ticket: Path) -> bool:
        for rival in sorted(ticket.parent.iterdir()):
            if rival.name >= ticket.name:
                return True
            if is_held(rival):
                return False
            log.debug("the ticket %s is of a process that is gone", rival.name)
            rival.unlink(missing_ok=True)
        return True
