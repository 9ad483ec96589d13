"""Faults of ours: a person reads one sentence, the traceback goes to a file.

Decides nothing about refusals, whose own words are shown; `qtha_lab.core.errors` says which those are.
"""

import errno
import time
import traceback
from pathlib import Path

from qtha_lab import __version__
from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal, message_of
from qtha_lab.core.io import printable

# What a disk or a path says of itself: nobody's fault here, and the path tells where to look.
OF_PATHS = (
    errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.EROFS,
    errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG,
)  # fmt: skip

LONGEST = 300  # characters of a refusal; whatever raised it should have shortened what it repeats


def sentence(error: BaseException, log: Path | None = None) -> str:
    """What a person reads about an exception.

    Args:
        error: A refusal keeps its words. Any other is a fault of ours: its own words, often those of
            a library deep inside, go to the log with the traceback.
        log: The file that takes the traceback, then also a refusal's; default `paths.log_file()`.

    Example:
        >>> sentence(Refusal("steps must be at least 1, not 0"))
        'steps must be at least 1, not 0'
    """
    refusal = is_refusal(error)
    place = "" if refusal and log is None else _recorded(error, log)
    if refusal:
        words = printable(_words(error))
        return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"
    if _is_of_memory(error):
        return f"memory ran out; {place}"
    return f"this is a fault of qtha-lab {__version__} ({type(error).__name__}); {place}; please report it"


def is_refusal(error: BaseException) -> bool:
    """Whether the words of an exception are meant for the person: ours, or of a path that cannot be used."""
    if isinstance(error, Refusal):
        return True
    if isinstance(error, OSError) and error.errno is None:  # raised with a sentence of its own
        return isinstance(error, FileNotFoundError | PermissionError)
    return isinstance(error, OSError) and error.errno in OF_PATHS


def _is_of_memory(error: BaseException) -> bool:
    """Python's, torch's on a GPU, and torch's on a CPU, which has no type of its own."""
    by_type = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return by_type or "can't allocate memory" in message_of(error, 2**16)


def _words(error: BaseException) -> str:
    """An exception's message on one line, an operating system's with its path and without its number."""
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}"
    return message_of(error, 2**16)


def _recorded(error: BaseException, log: Path | None) -> str:
    """Append the traceback to the log; the words that name it. A run's folder that is gone is not made anew."""
    lines = traceback.format_exception(error)
    try:
        if log is None:
            log = paths.log_file()
            log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} qtha-lab {__version__}\n")
            file.writelines([*lines, "\n"])
    except OSError as problem:
        return f"its details could not be written to {log}: {problem.strerror}"
    return f"details in {log}"
