"""How many runs compute at once, and the queue in which they wait for one another.

A run holds as many slots as it has threads, and on CUDA a card for each of its processes. Each is a file whose lock dies with
the run (`qtha_lab.core.locks`), so nothing has to be cleaned up after a kill.
"""

from __future__ import annotations

import functools
import itertools
import logging
import os
import re
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from qtha_lab.core import paths
from qtha_lab.core.locks import hold, holder, is_locked, make_folder, sign, signature

__all__ = [
    "Queue", "capacity", "computing", "hold", "holder", "is_chosen", "is_counted", "is_locked", "n_cores", "n_slots", "n_threads",
    "places", "release", "shared_folder", "sign", "signature", "slots_of", "take",
]  # fmt: skip

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1
UNCOUNTED = 4096  # slots where whoever placed the runs counts cores, cards and memory
TICKET = re.compile(r"(\d{20,22})-.+", re.ASCII)
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
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def shared_folder(runs_dir: Path, beside: Path) -> Path:
    """Find where runs queue: the runs folder, else the folder of the run, else this user's cache folder."""
    for folder in (runs_dir / ".slots", beside / ".slots"):
        if _is_usable(folder):
            return folder
    folder = paths.cache_dir() / "slots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _is_usable(folder: Path) -> bool:
    try:
        make_folder(folder)
        make_folder(folder / "queue")
        for place in (folder, folder / "queue"):
            with tempfile.TemporaryFile(dir=place):
                pass
    except OSError as reason:
        log.info("%s cannot be used (%s): runs queue elsewhere", folder, reason.strerror)
        return False
    return True


def places(folder: Path) -> list[Path]:
    """The files of the slots."""
    return [folder / str(number) for number in range(capacity())]


def computing(folder: Path) -> int:
    """How many slots are held by runs on this machine now."""
    files = (file for file in folder.iterdir() if file.name.isdigit())
    return sum(is_locked(file) and _is_here(file) for file in files)


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
        free = [*itertools.islice((file for file in files if not is_locked(file)), count)]
        if len(free) < count:
            return None
        chosen += free
    held = {file: fd for file in chosen if (fd := hold(file)) is not None}
    if len(held) < len(chosen):  # somebody was quicker who does not queue
        release(held)
        return None
    for file, fd in held.items():
        try:
            sign(fd, os.getpid())
        except OSError as reason:  # another user made the file
            log.debug("%s is not signed: %s", file, reason)
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
        make_folder(queue)
        last = max((number for number, _ in _tickets(queue)), default=0)
        path = queue / f"{max(time.time_ns(), last + 1):020d}-{name}"
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
        own = (int(ticket.name.split("-")[0]), ticket.name)
        for rival in sorted(_tickets(ticket.parent)):
            if rival >= own:
                return True
            path = ticket.with_name(rival[1])
            if is_locked(path):
                return False
            try:
                path.unlink(missing_ok=True)
            except OSError as reason:  # a folder of this name, or another user's file
                log.debug("the ticket %s stays: %s", path.name, reason)
        return True


def _tickets(queue: Path) -> list[tuple[int, str]]:
    """List number and name of all tickets; other files in the folder are ignored."""
    found = ((TICKET.fullmatch(name), name) for name in os.listdir(queue))
    return [(int(match[1]), name) for match, name in found if match]
