"""Disk usage of runs, and detection of full-disk errors."""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
import time
from pathlib import Path

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import remove, shortened, write_atomically
from qtha_lab.experiment.run_directory.events import EventLog, last_step, read_tail
from qtha_lab.experiment.run_directory.files import RunDir

log = logging.getLogger(__name__)


def bytes_used(folder: str | Path) -> int:
    """Sum the bytes of all files in a folder and its subfolders.

    Links are not followed; files that vanish during the count are ignored.
    """
    total, folders = 0, [str(folder)]
    while folders:
        place = folders.pop()
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError as reason:
            log.debug("%s is not counted: %s", place, reason)
    return total


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
IN_WORDS = re.compile(
    rf"os error (?:{'|'.join(map(str, FULL))})\b|no space left|quota exceeded|file too large"
    r"|pytorchstreamwriter failed|file write failed",
    re.IGNORECASE,
)
"""Messages of a full disk from libraries with their own writers, safetensors and torch."""


def is_full(error: BaseException) -> bool:
    """Return True if an exception or its cause reports a full disk or quota.

    Example:
        >>> is_full(OSError(errno.ENOSPC, "No space left on device"))
        True
        >>> is_full(RuntimeError("Disk quota exceeded (os error 122)")), is_full(KeyError(28))
        (True, False)
    """
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in FULL
    if IN_WORDS.search(str(error)[:10_000]):
        return True
    cause = error.__cause__ or error.__context__
    return cause is not None and is_full(cause)


def full(folder: Path) -> Refusal:
    """Build the refusal for a full disk or quota."""
    return Refusal(
        f"The disk of {shortened(folder, 150)} must have space for the files of a run, got a "
        "full disk or quota. Free some space, then resume the run."
    )


class Spare:
    """Reserved disk space for a process's final messages.

    A small file that is deleted when the disk is full.

    Args:
        folder: Folder of the file.
    """

    BYTES = 1 << 16

    def __init__(self, folder: Path) -> None:
        self.file = folder / ".spare"
        try:
            write_atomically(self.file, bytes(self.BYTES))
        except OSError as reason:
            log.info("no space is reserved in %s: %s", folder, reason)

    def free(self) -> None:
        """Delete the file to free its space."""
        try:
            remove(self.file)
        except OSError as reason:
            log.info("%s stays: %s", self.file, reason)


PATIENCE_SECONDS = 900.0
POLL_SECONDS = 0.2


def is_unreachable(folder: Path) -> bool:
    """Return True if a runs folder cannot be accessed, in contrast to a deleted run."""
    try:
        return not folder.is_dir()
    except OSError as reason:
        log.debug("%s: %s", folder, reason)
        return True


def wait_until_reachable(run: RunDir) -> bool:
    """Wait for the folder of a run during a storage outage, and log the outage.

    Returns:
        True if the run is accessible again. False at once if its folder is accessible, and after
            `PATIENCE_SECONDS`.
    """
    folder, start = run.path.parent, time.monotonic()
    if not is_unreachable(folder):
        return False
    sys.stderr.write(f"the folder {folder} is away: waiting for it\n")
    sys.stderr.flush()
    while not run.exists and time.monotonic() < start + PATIENCE_SECONDS:
        time.sleep(POLL_SECONDS)
    if not run.exists:
        return False
    events = EventLog(run.events)
    message = f"the folder of runs was away for {time.monotonic() - start:.0f} s"
    events.append("note", step=last_step(read_tail(run.events)), message=message)
    events.close()
    return True
