"""CPU cores, commands and ranks of processes, and the memory that training runs reserve.

A run allocates its memory gradually, so memory that is free now may be reserved: by one locked file
per run. The lock ends with the run. Callers supply the memory needs of models.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import re
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from multiprocessing import spawn
from pathlib import Path

from qtha_lab.core import locks
from qtha_lab.core.io import make_folder, read_mapping, remove, whole_number


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module in a new process.

    `python -m` searches the working folder first, before the installed packages. The new process
    does so only if this one does: a user may call `qtha-lab` inside a received folder. The program
    is that of `multiprocessing`.
    """
    safe = [] if searches_working_folder() else ["-P"]
    return [os.fsdecode(spawn.get_executable()), *safe, "-m", module, *arguments]


def searches_working_folder() -> bool:
    """Return True if this process imports modules from its working folder."""
    here = os.path.realpath(os.curdir)
    return any(os.path.realpath(entry) == here for entry in sys.path)


@contextlib.contextmanager
def quick_imports() -> Iterator[None]:
    """Import libraries without garbage collection and without `datasets`.

    Collections skip the libraries' objects afterwards. transformers' Trainer imports `datasets`
    where it finds it, which takes half a second, for rows that no run hands it. Python finds no
    module that is None in `sys.modules`. `datasets` can be imported again afterwards.
    """
    hidden = "datasets" not in sys.modules
    if hidden:
        sys.modules["datasets"] = None  # pyright: ignore[reportArgumentType]
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        if hidden:
            del sys.modules["datasets"]


def allowed_cores() -> list[int]:
    """Return the numbers of the cores that the system allows this process to use."""
    if sys.platform == "linux":
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def rank() -> int:
    """Return the rank that torchrun gave this process; 0 decides, measures and writes."""
    return whole_number(os.environ.get("RANK", "")) or 0


def world_size(*, local: bool = False) -> int:
    """Return the number of processes that torchrun started, here or on all hosts."""
    name = "LOCAL_WORLD_SIZE" if local else "WORLD_SIZE"
    return whole_number(os.environ.get(name, "")) or 1


log = logging.getLogger(__name__)

FOLDER = "memory"


@dataclass(frozen=True)
class Reservation:
    """Memory reservation of a run, made when it begins to load.

    Attributes:
        pid: Process id of the run.
        host: Host name of the process.
        needs: Bytes that the run needs.
        resident: Resident bytes at the reservation, those of libraries.
    """

    pid: int
    host: str
    needs: int
    resident: int

    @property
    def taken(self) -> int:
        """Bytes that the run has allocated since the reservation."""
        return max(0, _resident_bytes(self.pid) - self.resident)

    @property
    def to_come(self) -> int:
        """Reserved bytes that the run has not allocated yet."""
        return max(0, self.needs - self.taken)


def reserve(folder: Path, needs: int) -> int | None:
    """Reserve memory for this process.

    Returns:
        Descriptor that holds the reservation until this process ends; None if it is taken.
    """
    pid = os.getpid()
    make_folder(folder / FOLDER, folder)
    fd = locks.hold(folder / FOLDER / f"{socket.gethostname()}-{pid}")
    if fd is not None:
        reservation = Reservation(pid, socket.gethostname(), needs, _resident_bytes(pid))
        os.ftruncate(fd, 0)
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(fd, json.dumps(asdict(reservation)).encode())
    return fd


def reservations(folder: Path) -> list[Reservation]:
    """List the reservations of all runs on this machine.

    Files of ended runs are deleted where the folder allows.
    """
    import psutil

    present, name = [], re.compile(re.escape(socket.gethostname()) + r"-(\d{1,9})", re.ASCII)
    for file in (folder / FOLDER).glob("*"):
        if not (match := name.fullmatch(file.name)):
            continue
        if locks.is_locked(file):
            if reservation := _read(file, int(match[1])):
                present.append(reservation)
        elif not psutil.pid_exists(int(match[1])):  # an existing process is about to lock it
            _delete(file)
    return present


def _read(file: Path, pid: int) -> Reservation | None:
    fields = read_mapping(file, 1000) or {}
    needs, resident = fields.get("needs"), fields.get("resident")
    if type(needs) is not int or type(resident) is not int:
        log.debug("%s is being written, or damaged", file)
        return None
    return Reservation(pid, socket.gethostname(), needs, resident)


def _delete(file: Path) -> None:
    try:
        remove(file)
    except OSError as reason:  # a folder that only others may write to
        log.debug("%s stays: %s", file, reason)


def _resident_bytes(pid: int) -> int:
    import psutil

    try:
        return psutil.Process(pid).memory_info().rss
    except psutil.Error as reason:
        log.debug("process %d is gone: %s", pid, reason)
        return 0
