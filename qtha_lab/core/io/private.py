"""Checks that no other user of this computer can change a file or folder.

Where the system has no user numbers, such as Windows, every file counts as private.
"""

import os
import stat
import sys
from pathlib import Path

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io.text import shortened

OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
OTHERS_ANY = stat.S_IRWXG | stat.S_IRWXO


def check_private(path: Path, status: os.stat_result, others: int = OTHERS_WRITE) -> None:
    """Refuse a file or folder that another user owns or may use.

    Args:
        path: Path, for the message.
        status: Status of the file itself (`os.lstat`, `os.fstat`).
        others: Permission bits that group and others must not have.

    Raises:
        Refusal: With the reason.
    """
    if sys.platform == "win32":
        return
    if status.st_uid != os.getuid():
        raise Refusal(f"{shortened(path, 200)} must belong to this user, got user {status.st_uid}.")
    if stat.S_IMODE(status.st_mode) & others:
        raise Refusal(
            f"{shortened(path, 200)} must be closed to other users, "
            f"got mode {stat.S_IMODE(status.st_mode):04o}."
        )


def check_folder(path: Path, others: int = OTHERS_WRITE) -> None:
    """Refuse a path that is no real folder of this user; see `check_private`.

    Raises:
        FileNotFoundError: If the path does not exist.
        Refusal: If the path is a link, a file, or writable by other users.
    """
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise Refusal(f"{shortened(path, 200)} must be a folder, got a link or a file.")
    check_private(path, status, others)


def private_folder(path: Path, others: int = OTHERS_WRITE) -> Path:
    """Create a folder with mode 0700 if it is missing, and check it with `check_folder`.

    Missing parents are created with mode 0700 too.

    Raises:
        OSError: If the folder cannot be created.
        Refusal: As in `check_folder`.
    """
    missing = [level for level in (path, *path.parents) if not os.path.lexists(level)]
    for level in reversed(missing):
        level.mkdir(mode=0o700, exist_ok=True)
    check_folder(path, others)
    return path
