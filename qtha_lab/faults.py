"""Faults of ours: a person reads one sentence, the traceback goes to a file.

Decides nothing about refusals, whose own words are shown; `qtha_lab.errors` says which those are.
"""

import errno
import time
import traceback
from pathlib import Path

from qtha_lab import __version__, paths
from qtha_lab.errors import Refusal

# What a disk or a path says of itself: nobody's fault here, and the path tells where to look.
OF_PATHS = (
    errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.EROFS,
    errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG,
)  # fmt: skip


def sentence(wrong: BaseException, log: Path | None = None) -> str:
    """What a person reads about an exception.

    Args:
        wrong: A refusal keeps its words. Any other is a fault of ours: its own words, often those of
            a library deep inside, go to the log with the traceback.
        log: The file that takes the traceback, then also a refusal's; default `paths.log_file()`.

    Example:
        >>> sentence(Refusal("steps must be at least 1, not 0"))
        'steps must be at least 1, not 0'
    """
    refusal = is_refusal(wrong)
    place = "" if refusal and log is None else _recorded(wrong, log)
    if refusal:
        return _words(wrong)
    if _is_of_memory(wrong):
        start = "memory ran out"
    else:
        start = f"this is a fault of qtha-lab {__version__} ({type(wrong).__name__})"
    return f"{start}; {place}"


def is_refusal(wrong: BaseException) -> bool:
    """Whether the words of an exception are meant for the person: ours, or of a path that cannot be used."""
    if isinstance(wrong, Refusal):
        return True
    if isinstance(wrong, OSError) and wrong.errno is None:  # raised with a sentence of its own
        return isinstance(wrong, FileNotFoundError | PermissionError)
    return isinstance(wrong, OSError) and wrong.errno in OF_PATHS


def _is_of_memory(wrong: BaseException) -> bool:
    """Python's, torch's on a GPU, and torch's on a CPU, which has no type of its own."""
    named = isinstance(wrong, MemoryError) or type(wrong).__name__ == "OutOfMemoryError"
    return named or "can't allocate memory" in str(wrong)


def _words(wrong: BaseException) -> str:
    """An exception's message on one line, an operating system's with its path and without its number."""
    if isinstance(wrong, OSError) and wrong.strerror:
        place = f"{wrong.filename}: " if wrong.filename else ""
        return f"{place}{wrong.strerror}"
    return " ".join(str(wrong).split())


def _recorded(wrong: BaseException, log: Path | None) -> str:
    """Append the traceback to the log; the words that name it. A run's folder that is gone is not made anew."""
    lines = traceback.format_exception(wrong)
    try:
        if log is None:
            log = paths.log_file()
            log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} qtha-lab {__version__}\n")
            file.writelines([*lines, "\n"])
    except OSError as refused:
        return f"its details could not be written to {log}: {refused.strerror}"
    return f"details in {log}"
