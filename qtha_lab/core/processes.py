"""CPU cores of this process, and commands of further processes."""

import os
import sys
from multiprocessing import spawn


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


def allowed_cores() -> list[int]:
    """Return the numbers of the cores that the system allows this process to use."""
    if sys.platform == "linux":
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
