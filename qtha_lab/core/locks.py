"""File locks that end with their process, signed by their holder.

The kernel releases the locks of a killed process, so nothing must be cleaned up. Only this module
locks files: by flock, or on Windows by a locked byte behind the signature.
"""

from __future__ import annotations

import logging
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

log = logging.getLogger(__name__)
CLOSED = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)  # a FIFO would wait
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
LOCKED_BYTE = 1 << 30  # behind every signature, since Windows reads no locked byte
INHERITS = sys.platform != "win32"  # a new process can inherit a held lock


def acquire(fd: int, *, shared: bool = False) -> None:
    """Lock an open file until its descriptor is closed in all processes that share it.

    Args:
        fd: Descriptor of the file.
        shared: Allow other shared locks; on Windows every lock is exclusive.

    Raises:
        BlockingIOError: If another process holds the lock.
    """
    if sys.platform == "win32":
        os.lseek(fd, LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError as reason:
            raise BlockingIOError(*reason.args) from None
    else:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


def release(fd: int) -> None:
    """Unlock an open file that stays open."""
    if sys.platform == "win32":
        os.lseek(fd, LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)
    else:
        fcntl.flock(fd, fcntl.LOCK_UN)


def start_holding(command: Sequence[str], lock: int, **options: Any) -> subprocess.Popen:
    """Start a process that holds a lock, in a session of its own.

    It inherits the lock as `--lock DESCRIPTOR`. Where no lock can be inherited, it is released, and
    the process acquires the lock itself.

    Args:
        command: Program and arguments.
        lock: Descriptor that holds the lock.
        options: Further options of `subprocess.Popen`.
    """
    if not INHERITS:
        release(lock)
        return subprocess.Popen(command, **options)
    inherited = [*command, "--lock", str(lock)]
    return subprocess.Popen(inherited, pass_fds=[lock], start_new_session=True, **options)


def acquire_within(fd: int, patience: float) -> None:
    """Lock an open file, or raise `BlockingIOError` after `patience` seconds."""
    end = time.monotonic() + patience
    while True:
        try:
            return acquire(fd)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.02)


def open_shared(path: Path, flags: int) -> int:
    """Open a file for writing, created if missing, with the group permissions of its folder.

    Raises:
        Refusal: If the path is no regular file, such as a link or a FIFO.
        OSError: If the file cannot be opened.
    """
    fd = os.open(path, flags | os.O_CREAT | CLOSED | NO_LINK, 0o644)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Refusal(f"{path.name} must be a regular file. Delete what lies there.")
    share(fd, path.parent)
    return fd


def append_shared(path: Path) -> BinaryIO:
    """Open a log for appending, created if missing, with the group permissions of its folder."""
    return os.fdopen(open_shared(path, os.O_WRONLY | os.O_APPEND), "ab")


def share(file: int | Path, folder: Path) -> None:
    """Apply the group and group permissions of the parent folder to a file or folder.

    Only the user's own files are changed. A folder such as /tmp, in which users may delete only
    their own files, shares nothing.
    """
    if sys.platform == "win32":
        return
    status, around = os.stat(file), os.stat(folder)
    if status.st_uid != os.geteuid() or around.st_mode & stat.S_ISVTX:
        return
    group = around.st_mode & (0o2070 if stat.S_ISDIR(status.st_mode) else 0o060)
    mode = stat.S_IMODE(status.st_mode) | group
    if mode == stat.S_IMODE(status.st_mode) and around.st_gid == status.st_gid:
        return
    try:
        if around.st_gid != status.st_gid and around.st_mode & 0o020:
            os.chown(file, -1, around.st_gid)
        elif around.st_gid != status.st_gid:
            return
        os.chmod(file, mode)
    except PermissionError as reason:  # this user is not a member of the group
        log.debug("%s is not shared: %s", file, reason)


def make_folder(path: Path) -> None:
    """Create a folder and its parents with the group permissions of the parent folder."""
    if not path.parent.is_dir():
        make_folder(path.parent)
    path.mkdir(exist_ok=True)
    share(path, path.parent)


def hold(path: Path, patience: float = 0.0) -> int | None:
    """Acquire the lock of a file, which is created in an existing folder.

    Returns:
        The descriptor that holds the lock; None where another process holds it.

    Raises:
        FileNotFoundError: If there is no such folder, or it was moved meanwhile.
    """
    end = time.monotonic() + patience
    while True:
        fd = _open_lock(path)
        try:
            acquire_within(fd, end - time.monotonic())
            if _is_at(fd, path):
                return fd
        except BlockingIOError:
            os.close(fd)
            return None
        os.close(fd)  # the previous holder moved the file


def _open_lock(path: Path) -> int:
    try:
        return open_shared(path, os.O_RDWR)
    except PermissionError as reason:  # another user's file; a lock need not be written to
        log.debug("%s is opened for reading: %s", path, reason)
        return os.open(path, os.O_RDONLY | CLOSED | NO_LINK)


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

    Returns False for a file that cannot be opened.
    """
    try:
        fd = os.open(path, os.O_RDONLY | CLOSED)
    except OSError as reason:
        log.debug("no lock is held: %s", reason)
        return False
    try:
        acquire(fd, shared=True)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def sign(fd: int, pid: int) -> None:
    """Write the owner of a lock file into it: a process of this machine."""
    os.ftruncate(fd, 0)
    os.lseek(fd, 0, os.SEEK_SET)
    os.write(fd, f"{pid} {socket.gethostname()}\n".encode())


def signature(path: Path) -> tuple[int, str] | None:
    """Return the process id and host in a lock file; None without a signature."""
    try:
        pid, *machine = read(path, 1000, links=False).split()
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
