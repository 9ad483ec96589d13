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

log = logging.getLogger(__name__)


def hold(path: Path, patience: float = 0.0) -> int | None:
    """Take the lock of a file; the descriptor that holds it, or None where another process does.

    Args:
        patience: Seconds to keep trying.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except BlockingIOError:
            if time.monotonic() >= end:
                os.close(fd)
                return None
            time.sleep(0.02)


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock of a file."""
    try:
        fd = os.open(path, os.O_RDONLY)
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
        pid, *machine = path.read_text().split()
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
