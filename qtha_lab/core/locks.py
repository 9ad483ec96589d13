"""File locks that end with their process, signed by their holder.

The kernel releases the locks of a killed process, so nothing must be cleaned up. filelock locks an
open file on every system; a lock is exclusive, and `is_locked` holds it for microseconds.
filelock alone does not tell which process holds a lock.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import lock_descriptor, unlock_descriptor

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import open_file, shortened
from qtha_lab.core.io.folders import CLOSED, NO_LINK
from qtha_lab.core.io.write import open_shared
from qtha_lab.core.paths import variable_of

log = logging.getLogger(__name__)
PROBE = CLOSED | NO_LINK
INHERITS = sys.platform != "win32"  # a new process can inherit a held lock
SIGNED_FROM = 1 if sys.platform == "win32" else 0  # Windows reads no locked byte, here the first
PROBE_SECONDS = 0.05  # longer than `is_locked` of another process holds a lock


def acquire(fd: int, path: Path) -> None:
    """Lock an open file until its descriptor is closed in all processes that share it.

    Raises:
        BlockingIOError: If another process holds the lock.
        Refusal: If the file system has no locks.
    """
    try:
        is_free = lock_descriptor(fd, blocking=False)
    except OSError as reason:
        raise Refusal(
            f"The file system of {shortened(path.parent, 100)} must support file locks, got the "
            f"error {(reason.strerror or 'unknown').lower()!r}. Set {variable_of(path)} to a "
            "folder on a local disk."
        ) from reason
    if not is_free:
        raise BlockingIOError(errno.EWOULDBLOCK, "another process holds the lock")


def check_locks(folder: Path) -> None:
    """Refuse a folder in which no file can be locked."""
    with tempfile.TemporaryFile(dir=folder) as file:
        acquire(file.fileno(), folder / "lock")


def release(fd: int) -> None:
    """Unlock an open file that stays open."""
    unlock_descriptor(fd)


def start_holding(
    command: Sequence[str], lock: int, *others: int, **options: Any
) -> subprocess.Popen:
    """Start a process that holds a lock, in a session of its own.

    It inherits the lock as `--lock DESCRIPTOR`. Where no lock can be inherited, it is released, and
    the process acquires the lock itself.
    """
    if not INHERITS:
        release(lock)
        return subprocess.Popen(command, **options)
    inherited = [*command, "--lock", str(lock)]
    return subprocess.Popen(inherited, pass_fds=[lock, *others], start_new_session=True, **options)


def acquire_within(fd: int, path: Path, patience: float) -> None:
    """Lock an open file as `acquire`, or raise `BlockingIOError` after a time."""
    end = time.monotonic() + patience
    while True:
        try:
            return acquire(fd, path)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.02)


def hold(path: Path, patience: float = 0.0) -> int | None:
    """Acquire the lock of a file, which is created in an existing folder.

    Returns:
        The descriptor that holds the lock; None where another process holds it.

    Raises:
        FileNotFoundError: If there is no such folder, or it was moved meanwhile.
    """
    end = time.monotonic() + max(patience, PROBE_SECONDS)
    while True:
        fd = _open_lock(path, os.O_CREAT)
        try:
            acquire_within(fd, path, end - time.monotonic())
            if _is_at(fd, path):
                return fd
        except BlockingIOError:
            os.close(fd)
            return None
        os.close(fd)  # the previous holder moved the file


def _open_lock(path: Path, create: int = 0) -> int:
    try:
        return open_shared(path, os.O_RDWR) if create else os.open(path, PROBE | os.O_RDWR)
    except OSError as reason:  # another user's file, or a file system without writing
        if reason.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        log.debug("%s is opened for reading: %s", path, reason)
        return os.open(path, PROBE | os.O_RDONLY)


def _is_at(fd: int, path: Path) -> bool:
    """Return True if a path still leads to an open file.

    The previous holder of the lock may have moved the file.
    """
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


def is_locked(path: Path) -> bool:
    """Return True if a running process holds the lock of a file.

    Returns False for a file that cannot be opened, or locked where it cannot be written.
    """
    try:
        fd = _open_lock(path)
    except OSError as reason:
        log.debug("no lock is held: %s", reason)
        return False
    try:
        acquire(fd, path)
    except BlockingIOError:
        return _is_signed_by_running(path) or not _is_released(fd, path)
    except Refusal as reason:  # NFS locks no file that is opened for reading alone
        log.debug("%s cannot be locked: %s", path, reason)
    finally:
        os.close(fd)
    return False


def _is_signed_by_running(path: Path) -> bool:
    import psutil

    signed = signature(path)
    return bool(signed and signed[1] == socket.gethostname() and psutil.pid_exists(signed[0]))


def _is_released(fd: int, path: Path) -> bool:
    """Return True if only `is_locked` of another process held a lock."""
    try:
        acquire_within(fd, path, PROBE_SECONDS)
    except BlockingIOError:
        return False
    return True


def sign(fd: int, pid: int) -> None:
    """Write the owner of a lock file into it: a process of this machine."""
    os.ftruncate(fd, 0)
    os.lseek(fd, SIGNED_FROM, os.SEEK_SET)
    os.write(fd, f"{pid} {socket.gethostname()}\n".encode())


def signature(path: Path) -> tuple[int, str] | None:
    """Return the process id and host in a lock file; None without a signature."""
    try:
        with open_file(path, 1000, links=False) as file:
            file.seek(SIGNED_FROM)
            pid, *machine = file.read(1000).decode().split()
        return int(pid), machine[0] if machine else socket.gethostname()
    except (OSError, Refusal, ValueError) as reason:
        log.debug("whose lock %s is cannot be read: %s", path, reason)
        return None


def holder(path: Path) -> int | None:
    """Return the process of this machine that holds a lock file; None otherwise.

    The process id is the one written in the file, so only a held and signed file of this host has
    one.
    """
    if not is_locked(path) or (signed := signature(path)) is None:
        return None
    pid, machine = signed
    return pid if machine == socket.gethostname() else None
