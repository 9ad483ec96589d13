"""Writing of files; with `folders`, the only writer of the package.

A file is written under a random name, synced, renamed and then its folder synced. So readers,
kills and power losses leave the old or the new content, and no planted link is followed.
The functions of pathlib sync nothing and follow links.
"""

import contextlib
import errno
import json
import logging
import math
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io.files import open_file
from qtha_lab.core.io.folders import (
    CLOSED,
    NO_LINK,
    OpenFolder,
    open_folder,
    share,
    temporary_name,
)
from qtha_lab.core.io.text import shortened

log = logging.getLogger(__name__)

OTHER_KINDS = (errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.EISDIR)
"""Errors of opening a link (EMLINK on FreeBSD), a FIFO or socket, or a folder for writing."""
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINK | CLOSED | getattr(os, "O_BINARY", 0)


@contextlib.contextmanager
def replacing(path: Path, below: Path | None = None, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Open a new file that replaces `path` after a successful block.

    Args:
        path: File to write; a link there is replaced, not followed.
        below: Folder above, below which no level may be a link; None allows a link as folder.
        mode: Permissions of the file; those of its folder's group are added.

    Raises:
        Refusal: If a level below `below` is a link.
        OSError: If the file cannot be written.
    """
    with open_folder(path.parent, below) as folder:
        name = temporary_name(path.name)
        try:
            with _new_file(folder, name, mode) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(
                folder.at(name), folder.at(path.name), src_dir_fd=folder.fd, dst_dir_fd=folder.fd
            )
        except BaseException as problem:
            _discard(folder, name)
            if isinstance(problem, OSError) and problem.filename in (None, folder.at(name)):
                problem.filename, problem.filename2 = str(path), None
            raise
        folder.sync()


def _discard(folder: OpenFolder, name: str) -> None:
    try:
        os.unlink(folder.at(name), dir_fd=folder.fd)
    except OSError as reason:
        log.debug("%s stays in %s: %s", name, folder.path, reason)


def _new_file(folder: OpenFolder, name: str, mode: int) -> BinaryIO:
    file = os.fdopen(os.open(folder.at(name), NEW, mode, dir_fd=folder.fd), "wb")
    share(file.fileno(), folder.path)
    return file


def write_atomically(
    path: Path, data: str | bytes, below: Path | None = None, mode: int = 0o666
) -> None:
    """Write a whole file; arguments and errors are those of `replacing`.

    Args:
        path: File to write.
        data: Content; text is encoded in UTF-8.
        below: As for `replacing`.
        mode: As for `replacing`.
    """
    with replacing(path, below, mode) as file:
        file.write(data.encode() if isinstance(data, str) else data)


def write_json(path: Path, value: Any, below: Path | None = None) -> None:
    """Write a value as JSON with `write_atomically`; NaN and infinity become null.

    Args:
        path: File to write.
        value: Value of JSON types.
        below: Folder above, below which no level may be a link.
    """
    text = json.dumps(finite(value), indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(path, f"{text}\n".encode("utf-8", errors="replace"), below)


def finite(value: Any) -> Any:
    """Replace every NaN and infinity in a value by None, for JSON."""
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_new(path: Path, data: bytes) -> None:
    """Write a file that must not exist yet, with mode 0600."""
    with os.fdopen(os.open(path, NEW, 0o600), "wb") as file:
        file.write(data)


def copy(
    source: Path, target: Path, below: Path | None = None, *, inside: Path | None = None
) -> None:
    """Copy the content of a regular file; `target` is written as by `write_atomically`.

    Args:
        source: File to copy.
        target: New file.
        below: Folder above the target, below which no level may be a link.
        inside: Folder above the source, below which no level may be a link, the file included;
            None follows links, for files of an installed package.

    Raises:
        Refusal: If the source is a link or no regular file.
    """
    around = contextlib.nullcontext() if inside is None else open_folder(source.parent, inside)
    with around, open_file(source, links=inside is None) as old, replacing(target, below) as new:
        shutil.copyfileobj(old, new, 2**20)


def open_shared(path: Path, flags: int) -> int:
    """Open a file for writing, created if missing, with the group permissions of its folder.

    Raises:
        Refusal: If the path is no regular file, such as a link or a FIFO.
        OSError: If the file cannot be opened.
    """
    try:
        fd = os.open(path, flags | os.O_CREAT | CLOSED | NO_LINK, 0o644)
    except OSError as reason:
        if reason.errno in OTHER_KINDS:
            raise _no_file(path) from reason
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise _no_file(path)
    share(fd, path.parent)
    return fd


def _no_file(path: Path) -> Refusal:
    return Refusal(
        f"{path.name} must be a regular file, got a link, a folder or a device. Delete "
        f"{shortened(path, 160)}."
    )


def append_shared(path: Path) -> BinaryIO:
    """Open a log for appending, created if missing, with the group permissions of its folder."""
    return os.fdopen(open_shared(path, os.O_WRONLY | os.O_APPEND), "ab")


def check_writable(folder: Path, below: Path | None = None) -> None:
    """Write a byte into a folder, and delete it.

    Raises:
        OSError: If the folder is not writable or the disk is full.
        Refusal: If a level below `below` is a link.
    """
    with open_folder(folder, below) as place:
        name = temporary_name("probe")
        file = os.fdopen(os.open(place.at(name), NEW, 0o600, dir_fd=place.fd), "wb")
        try:
            with file:
                file.write(b"x")
                file.flush()
                os.fsync(file.fileno())
        finally:
            os.unlink(place.at(name), dir_fd=place.fd)
