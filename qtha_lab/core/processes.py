"""CPU cores of this process, commands of further processes, and ranks that torchrun assigns."""

import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from multiprocessing import spawn

from qtha_lab.core.io import whole_number


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
def collection_paused() -> Iterator[None]:
    """Pause garbage collection while libraries are imported, and exclude their objects later."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


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
