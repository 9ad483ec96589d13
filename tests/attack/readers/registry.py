"""Register readers of foreign data, each with valid seeds, a grammar and a function that reads.

A reader of files is given a path; of texts, a text.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from ..mutation import LARGEST, PLACE, documents, sentences
from ..outcome import CPU_SECONDS

READERS: dict[str, Reader] = {}
TRAINING: dict[str, Any] = dict(  # noqa: C408
    steps=4, batch_size=2, max_length=32, train_rows=16, eval_rows=4, test_rows=4, eval_every=2,
    checkpoint_every=1, spectrum_every=0, generate_rows=0, threads=1,
)  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes:
        read: Given the path of the file, or the text.
        seeds: Valid inputs; made when first asked for.
        grammar: Inputs of the reader's own words.
        file: Name of the file; empty for a reader of texts.
        share: Cases of it beside one of another reader.
        limit: CPU seconds of an input.
    """

    read: Callable[[Any], Any]
    seeds: Callable[[], tuple[bytes, ...]]
    grammar: Callable[[], st.SearchStrategy[bytes]]
    file: str = ""
    share: float = 1.0
    limit: float = CPU_SECONDS

    def take(self, data: bytes) -> Any:
        """Read an input as if it had come from outside."""
        if not self.file:
            return self.read(data[:LARGEST].decode("utf-8", "surrogateescape"))
        path = Path("input", self.file).absolute()
        put(path, data)
        return self.read(path)


def reader(*seeds: Any, words: str = "", grammar: Any = None, file: str = "", share: float = 1.0,
    limit: float = CPU_SECONDS,
):  # fmt: skip
    """Register a reader by its function's name.

    Args:
        seeds: Texts, bytes, JSON objects, or a function that makes them.
        words: Of its grammar, with spaces between.
        grammar: Makes another one; by default documents of the objects, or sentences of the words
            or the texts.
        file: As for `Reader`.
        share: As for `Reader`.
        limit: As for `Reader`.
    """

    @cache
    def made() -> tuple[Any, ...]:
        first: Any = seeds[0]
        return tuple(first()) if callable(first) else seeds

    def drawn() -> st.SearchStrategy[bytes]:
        objects = [seed for seed in made() if isinstance(seed, dict | list)]
        if objects and not words:
            return documents(*objects)
        return sentences(
            *(words.split() or [_bytes(seed).decode("utf-8", "replace") for seed in made()])
        )

    def register(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
        valid = lambda: tuple(map(_bytes, made()))  # noqa: E731
        READERS[read.__name__] = Reader(read, valid, grammar or drawn, file, share, limit)
        return read

    return register


def put(path: Path, data: bytes) -> None:
    """Put a file, or the thing that the bytes stand for, in a place."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not data.startswith(PLACE):
        path.write_bytes(data)
        return
    match data.removeprefix(PLACE):
        case b"fifo":
            os.mkfifo(path)
        case b"device":
            path.symlink_to("/dev/zero")
        case b"link":
            path.symlink_to("/etc/hostname")
        case b"loop":
            path.symlink_to(path)
        case b"folder":
            path.mkdir()
        case b"sparse":
            with path.open("wb") as file:
                file.truncate(2**31)
        case b"unreadable":
            path.write_bytes(b"{}")
            path.chmod(0)


def move(file: Path, place: Path) -> None:
    """Move a file, or what stands in its place, over another.

    Where there is none the other goes too.
    """
    put(place, PLACE + b"missing")
    if os.path.lexists(file):
        file.rename(place)


def _bytes(seed: Any) -> bytes:
    if isinstance(seed, bytes):
        return seed
    return (seed if isinstance(seed, str) else json.dumps(seed)).encode()


def lines_of(rows: list[Any]) -> bytes:
    """JSON lines."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)
