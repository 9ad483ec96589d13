"""Reading of pickles of this user, after owner, permission and digest checks.

A pickle runs code when it is loaded, so no byte of an unsigned file reaches `pickle`. Python's
`pickle` and `hmac` have no such file; numba's own disk cache and submitit load what they find.

Where the system has no user numbers, such as Windows, every file counts as private.
"""

import hmac
import os
import pickle
import secrets
import stat
import sys
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io.files import open_file
from qtha_lab.core.io.text import shortened
from qtha_lab.core.io.write import write_new

DIGEST_BYTES = KEY_BYTES = 32


def secret_key(path: Path) -> bytes:
    """Read this user's secret key, or create a new one.

    Args:
        path: File of 32 bytes with mode 0600.

    Raises:
        OSError: If the file cannot be created.
        Refusal: If another user owns the file or its folder, or may read it.
    """
    private_folder(path.parent)
    if not os.path.lexists(path):
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        write_new(part, secrets.token_bytes(KEY_BYTES))
        try:
            os.link(
                part, path
            )  # the first of several processes wins, and no process reads a partial key
        except FileExistsError:
            pass
        finally:
            part.unlink()
    with open_file(path, KEY_BYTES, links=False) as file:
        check_private(path, os.fstat(file.fileno()), OTHERS_ANY)
        key = file.read(KEY_BYTES)
    if len(key) != KEY_BYTES:
        raise Refusal(f"{path} must have {KEY_BYTES} bytes, got {len(key)}. Delete it.")
    return key


def keyed_digest(key: bytes, name: str, payload: bytes) -> bytes:
    """Compute the HMAC-SHA256 of a file's name and content.

    Args:
        key: Secret key of this user.
        name: Name of the file.
        payload: Content of the file.
    """
    return hmac.digest(key, name.encode() + b"\0" + payload, "sha256")


def read_pickle(path: Path, key: bytes) -> Any:
    """Load a pickle whose keyed digest precedes its content.

    Args:
        path: File in a folder that only this user can change.
        key: Secret key of this user.

    Raises:
        FileNotFoundError: If there is no such file.
        Refusal: If another user could have changed the file, or its digest does not match.
    """
    check_folder(path.parent)
    with open_file(path, links=False) as file:
        check_private(path, os.fstat(file.fileno()))
        content = file.read()
    digest, payload = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if not hmac.compare_digest(digest, keyed_digest(key, path.name, payload)):
        raise Refusal(f"{path} must have the digest of this user's key, got another.")
    return pickle.loads(payload)


OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
OTHERS_ANY = stat.S_IRWXG | stat.S_IRWXO


def check_private(path: Path, status: os.stat_result, others: int = OTHERS_WRITE) -> None:
    """Refuse a file or folder that another user owns or may use.

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
