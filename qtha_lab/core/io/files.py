"""Reading of files of unknown origin: regular files with limits of size and of rows.

A FIFO, a device, a directory and, unless allowed, a symbolic link are refused before anything is
read.
"""

import hashlib
import io
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io.strict_json import parse_json
from qtha_lab.core.io.text import shortened

TEXT_LIMIT = 2**24
"""Bytes of a text file: 16 MiB."""
log = logging.getLogger(__name__)


@contextmanager
def open_file(path: Path, limit: int | None = None, *, links: bool = True) -> Iterator[BinaryIO]:
    """Open a regular file for reading, without waiting for a writer.

    Args:
        path: File to open.
        limit: Maximum file size in bytes; `None` allows any size.
        links: Follow a symbolic link in the last part of the path. Pass False inside run folders.

    Raises:
        FileNotFoundError: If there is no such file.
        Refusal: If the path is no regular file, is too large, or cannot be opened.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    flags |= getattr(os, "O_BINARY", 0) | (0 if links else getattr(os, "O_NOFOLLOW", 0))
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as problem:
        raise _refused(path, problem) from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise Refusal(
            f"{shortened(path, 200)} must be a regular file, got {_kind(status.st_mode)}."
        )
    with os.fdopen(descriptor, "rb") as file:
        if limit is not None and status.st_size > limit:
            raise Refusal(
                f"{shortened(path, 200)} must have at most {limit / 2**20:g} MiB, "
                f"got {status.st_size / 2**20:.1f} MiB."
            )
        try:
            yield file
        except OSError as problem:
            raise _refused(path, problem) from None


def read_bytes(path: Path, limit: int = TEXT_LIMIT, *, links: bool = True) -> bytes:
    """Read a whole file; errors are those of `open_file`.

    Args:
        path: File to read.
        limit: Maximum file size in bytes.
        links: Follow a symbolic link in the last part of the path.
    """
    with open_file(path, limit, links=links) as file:
        data = file.read(limit + 1)  # a file may grow after its size was measured
    if len(data) > limit:
        raise Refusal(
            f"{shortened(path, 200)} must have at most {limit / 2**20:g} MiB, got a growing file."
        )
    return data


def read(path: Path, limit: int = TEXT_LIMIT, *, links: bool = True) -> str:
    """Read a whole text file in UTF-8 without its byte order mark.

    Args:
        path: File to read.
        limit: Maximum file size in bytes.
        links: Follow a symbolic link in the last part of the path.

    Raises:
        Refusal: If the bytes are not UTF-8, or as in `open_file`.
    """
    try:
        return read_bytes(path, limit, links=links).decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise Refusal(
            f"{shortened(path, 200)} must be UTF-8 text, "
            f"got byte 0x{problem.object[problem.start]:02x} at position {problem.start}. "
            "Save the file as UTF-8."
        ) from None


def read_tail(path: Path, size: int, *, links: bool = False) -> bytes:
    """Read the end of a file; errors as in `open_file`.

    Args:
        path: File to read.
        size: Most bytes to read.
        links: Follow a symbolic link in the last part of the path.
    """
    with open_file(path, links=links) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - size))
        return file.read(size)


def digest(path: Path, limit: int | None = None) -> str:
    """Compute the SHA-256 of a file in hexadecimal; errors are those of `open_file`."""
    with open_file(path, limit) as file:
        return hashlib.file_digest(cast(io.BufferedReader, file), "sha256").hexdigest()


def read_json(path: Path, *, links: bool = True) -> Any:
    """Read one JSON document from a file.

    Errors are those of `read` and `parse_json`, with the file's name.
    """
    text = read(path, links=links)
    try:
        return parse_json(text)
    except Refusal as problem:
        raise Refusal(f"{path.name}: {problem}") from None


def read_mapping(path: Path, limit: int = TEXT_LIMIT) -> dict[str, Any] | None:
    """Read the JSON object in a file of a run folder.

    Returns None for a file that is missing, damaged or holds no object.
    """
    try:
        value = parse_json(read(path, limit, links=False))
    except FileNotFoundError:
        return None
    except Refusal as reason:
        log.debug("%s is ignored: %s", path, reason)
        return None
    return value if isinstance(value, dict) else None


def _refused(path: Path, problem: OSError | ValueError) -> Refusal:
    reason = (getattr(problem, "strerror", None) or str(problem)).lower()
    if "symbolic links" in reason:
        reason = "it is a symbolic link"
    return Refusal(f"{shortened(path, 200)} cannot be read: {reason}.")


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFLNK: "a symbolic link",
    }
    return kinds.get(stat.S_IFMT(mode), "a device")


MOST_ROWS = 2**20
MOST_VALUES = 2**23
MOST_BYTES = 2**28  # after decompression
MOST_LINES = 2**24  # blank ones included
REMEDY = "Take a sample of the rows."


@dataclass
class ReadCounts:
    """Counts of all files of a data set.

    Attributes:
        rows: Rows that were read.
        values: Values of these rows, with lists, objects and their members.
        size: Decoded bytes of packed files.
        unlabelled: Rows without a label that a reader has left aside.
    """

    rows: int = 0
    values: int = 0
    size: int = 0
    unlabelled: int = 0

    def add(self, path: Path, *, rows: int = 0, values: int = 0, size: int = 0) -> None:
        """Add counts of a file.

        Args:
            path: File, for the refusal.
            rows: Rows that were read.
            values: Values of these rows.
            size: Decoded bytes.

        Raises:
            Refusal: Naming the file whose rows are too many or too large.
        """
        self.rows, self.values, self.size = self.rows + rows, self.values + values, self.size + size
        if self.rows > MOST_ROWS:
            raise Refusal(f"{path.name} must have at most {MOST_ROWS:,} rows, got more. {REMEDY}")
        if self.values > MOST_VALUES:
            raise Refusal(
                f"{path.name} must have at most {MOST_VALUES:,} values, got more. {REMEDY}"
            )
        if self.size > MOST_BYTES:
            raise Refusal(
                f"{path.name} must have at most {MOST_BYTES / 2**20:g} MiB unpacked, got more. "
                f"{REMEDY}"
            )

    def counted(
        self, path: Path, rows: Iterator[tuple[int, dict[str, Any]]]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the rows of a file, each after it is counted."""
        for number, record in rows:
            self.add(path, rows=1, values=count_values(record))
            yield number, record


def count_values(record: Any) -> int:
    """Count the values of a record, with lists, objects and their members.

    Example:
        >>> count_values({"text": "a", "turns": [{"role": "user"}]})
        4
    """
    count, level = 0, [record]
    while level:
        value = level.pop()
        count += len(value)
        inner = value.values() if isinstance(value, dict) else value
        level.extend(each for each in inner if isinstance(each, dict | list))
    return count
