"""Reports of internal faults: one sentence, and a traceback in a file.

The message of a refusal is shown unchanged; `qtha_lab.core.errors` defines refusals.
"""

import errno
import time
import traceback
from pathlib import Path

from qtha_lab import __version__
from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal, message_of, type_name
from qtha_lab.core.io import append_shared, make_folder, printable

# Errors of a disk or a path: no internal fault, and the message names the path.
OF_PATHS = (
    *(errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.EEXIST),
    *(errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG),
)

LONGEST = 300  # characters of a refusal; the raising code should shorten the values it repeats


def fault_sentence(error: BaseException, log: Path | None = None) -> str:
    """Return the sentence to show for an exception.

    Args:
        error: The message of a refusal is shown. Any other exception is an internal fault: its
            message, often that of a library, goes to the log with the traceback.
        log: File for the traceback, then also of a refusal; default `paths.log_file()`.

    Example:
        >>> fault_sentence(Refusal("steps must be at least 1, got 0."))
        'steps must be at least 1, got 0.'
    """
    refusal = is_refusal(error)
    place = "" if refusal and log is None else _recorded(error, log)
    if refusal:
        words = printable(_words(error))
        return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"
    if _is_of_memory(error):
        return f"memory ran out; {place}"
    name = f"{__version__} ({type_name(error)})"
    return f"this is a fault of qtha-lab {name}; {place}; please report it"


def is_refusal(error: BaseException) -> bool:
    """Return True if the message of an exception is meant for the user.

    This holds for refusals and for errors of paths that cannot be used.
    """
    if isinstance(error, Refusal):
        return True
    if isinstance(error, OSError) and error.errno is None:  # raised with its own sentence
        return isinstance(error, FileNotFoundError | PermissionError)
    return isinstance(error, OSError) and error.errno in OF_PATHS


def _is_of_memory(error: BaseException) -> bool:
    """Return True for out-of-memory errors of Python and of torch on GPU or CPU.

    The CPU error of torch has no type of its own and is recognised by its message.
    """
    by_type = isinstance(error, MemoryError) or type_name(error) == "OutOfMemoryError"
    return by_type or "can't allocate memory" in message_of(error, 2**16)


def _words(error: BaseException) -> str:
    """Return an exception's message on one line.

    An operating system error has its path and no number.
    """
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}"
    return message_of(error, 2**16)


def _recorded(error: BaseException, log: Path | None) -> str:
    """Append the traceback to the log and return the sentence that names the log.

    A deleted run folder is not created again.
    """
    lines = traceback.format_exception(error)
    try:
        if log is None:
            log = paths.log_file()
            make_folder(log.parent)
        lines.insert(0, f"{time.strftime('%Y-%m-%d %H:%M:%S')} qtha-lab {__version__}\n")
        with append_shared(log) as file:
            file.write("".join([*lines, "\n"]).encode(errors="backslashreplace"))
    except (OSError, Refusal) as problem:
        reason = getattr(problem, "strerror", None) or problem
        return f"its details could not be written to {log}: {reason}"
    return f"details in {log}"
