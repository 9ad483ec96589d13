"""Bounded reading of plain and gzipped files as bytes, lines or one text.

The rows of a text are parsed in `tables` and `delimited`.
"""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io.files import MOST_LINES, ReadCounts, open_file
from qtha_lab.core.io.json_lines import LONGEST_LINE, at_line, likely_encoding
from qtha_lab.core.io.text import shortened

PART = 2**20
"""Characters that are read at once."""
WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def is_packed(path: Path) -> bool:
    """Return True if the name of a file ends in `.gz`."""
    return path.name.lower().endswith(".gz")


class _Counted(io.RawIOBase):
    """Stream of decompressed bytes that adds their number to the counts."""

    def __init__(self, path: Path, file: gzip.GzipFile, counts: ReadCounts) -> None:
        self._path, self._file, self._counts = path, file, counts

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = self._file.readinto(buffer)
        self._counts.add(self._path, size=size)
        return size


@contextmanager
def open_unpacked(path: Path, counts: ReadCounts) -> Iterator[BinaryIO]:
    """Open a file, decompressed and counted if its name ends in `.gz`.

    Raises:
        FileNotFoundError: If there is no such file.
        Refusal: If a packed file is damaged or too large, or as in `open_file`.
    """
    with open_file(path) as file:
        if not is_packed(path):
            yield file
            return
        try:
            with gzip.GzipFile(fileobj=file) as lines:
                yield cast(BinaryIO, io.BufferedReader(_Counted(path, lines, counts)))
        except (EOFError, OSError, zlib.error) as problem:
            raise Refusal(
                f"{path.name} must be a gzip file, got {shortened(problem, 80)}. Pack it again."
            ) from None


def text_lines(path: Path, counts: ReadCounts, longest: int = LONGEST_LINE) -> Iterator[str]:
    """Yield the lines of a text with their ends.

    The text is UTF-8, with or without Excel's byte order mark, or UTF-16 with one.

    Raises:
        Refusal: Naming the file and the first line that cannot be read.
    """
    with _open_text(path, counts) as text:
        number = 0
        while line := _read(path, text, number, longest, text.readline):
            number += 1
            if len(line) > longest:
                size = f"{longest / 2**20:g} MiB"
                raise at_line(path, number, f"a line must have at most {size}, got more.")
            if number > MOST_LINES:
                raise Refusal(f"{path.name} must have at most {MOST_LINES:,} lines, got more.")
            yield line


def whole_text(path: Path, counts: ReadCounts, limit: int) -> str:
    """Read a text as a whole; errors are those of `text_lines`."""
    parts, length, lines = list[str](), 0, 0
    with _open_text(path, counts) as text:
        while part := _read(path, text, lines, PART, text.read):
            parts.append(part)
            length, lines = length + len(part), lines + part.count("\n")
            if length > limit:
                raise Refusal(
                    f"{path.name} must have at most {limit / 2**20:g} MiB as one document, got "
                    "more. Save the rows as JSON Lines."
                )
    return "".join(parts)


@contextmanager
def _open_text(path: Path, counts: ReadCounts) -> Iterator[io.TextIOWrapper]:
    with open_unpacked(path, counts) as file:
        start = cast(io.BufferedReader, file).peek(4)[:4]
        if start == b"PK\x03\x04":
            raise Refusal(
                f"{path.name} must be text, got a spreadsheet or zip file. Save the sheet as CSV "
                "UTF-8."
            )
        encoding = "utf-16" if start.startswith(WIDE) else "utf-8-sig"
        text = io.TextIOWrapper(file, encoding, "surrogateescape", newline="")
        try:
            yield text
        finally:
            text.detach()


def _read(path: Path, text: io.TextIOWrapper, number: int, limit: int, read: Any) -> str:
    """Read characters; refuse bytes of another encoding by line, after `number` lines."""
    try:
        part = read(limit + 1)
        if not part.isascii():
            part.encode()
        return part
    except UnicodeDecodeError:
        raise _other_encoding(path, number + 1, "UTF-16") from None
    except UnicodeEncodeError as problem:
        line = number + part.count("\n", 0, problem.start) + 1
        content = problem.object.encode("utf-8", "surrogateescape")
        is_wide = text.encoding == "utf-16"
        raise _other_encoding(
            path, line, "UTF-16" if is_wide else likely_encoding(content)
        ) from None


def _other_encoding(path: Path, line: int, encoding: str) -> Refusal:
    rule = f"text must be UTF-8, got bytes that look like {encoding}. Save the file as UTF-8."
    return at_line(path, line, rule)
