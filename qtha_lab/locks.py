"""Locks that die with their process (POSIX flock), signed by whoever holds them.

Nothing has to be cleaned up after a kill: the kernel frees the locks.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import time
from pathlib import Path

from qtha_lab.core.io import read

log = logging.getLogger(__name__)


def hold(path: Path, patience: float = 0.0) -> int | None:
    """Take the lock of a file, which is created in a folder that must exist.

    Args:
        path: Lock file.
        patience: Seconds to keep trying.

    Returns:
        The descriptor that holds the lock; None where another process holds it.

    Raises:
        FileNotFoundError: If there is no such folder, or it was moved away meanwhile.
    """
    end = time.monotonic() + patience
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(fd, path):
                return fd
        except BlockingIOError:
            if time.monotonic() >= end:
                os.close(fd)
                return None
        os.close(fd)
        time.sleep(0.02)


def _is_at(fd: int, path: Path) -> bool:
    """Tell whether a path still leads to an open file: whoever held the lock may have moved it."""
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock of a file."""
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a FIFO would block
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def sign(fd: int, pid: int) -> None:
    """Write into a lock file whose it is: a process of this machine."""
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{pid} {socket.gethostname()}\n".encode(), 0)


def signature(path: Path) -> tuple[int, str] | None:
    """The process id and the machine written in a lock file; None where it is not signed."""
    try:
        pid, *machine = read(path, 4096, links=False).split()
        return int(pid), machine[0] if machine else socket.gethostname()
    except (OSError, ValueError) as reason:
        log.debug("whose lock %s is cannot be read: %s", path, reason)
        return None


def holder(path: Path) -> int | None:
    """The process of this machine that is written in a lock file that is held, so never that of a stranger."""
    if not is_held(path) or (signed := signature(path)) is None:
        return None
    pid, machine = signed
    return pid if machine == socket.gethostname() else None
