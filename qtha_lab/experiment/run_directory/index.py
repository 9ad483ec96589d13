"""Index of all runs of a folder, cached in `.index.jsonl`.

The run directories are authoritative. The index has one line per run and may be deleted, truncated
or overwritten at any time. A line is valid only while the files of its run are unchanged.
"""

from __future__ import annotations

import json
import logging
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import qtha_lab
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import append_shared, parse_json, read_bytes, write_atomically
from qtha_lab.experiment.run_directory.files import RunDir
from qtha_lab.experiment.run_directory.record import Record, read_record, stamp

LIMIT = 2**28
"""Bytes of an index; a larger index is rewritten."""
NAME = ".index.jsonl"
log = logging.getLogger(__name__)

SPARE = 2  # lines per run above which the file is rewritten


def list_records(folder: Path) -> list[tuple[Path, Record]]:
    """Return every run of a folder with its record, newest first; skips other folders."""
    names, index = _names(folder), Index(folder)
    listed, news = [], {}
    for name in names:
        present = stamp(f"{folder}/{name}")
        if present[0] is None:  # no description: no run
            continue
        record = index.get(name, present)
        if record is None:
            files = RunDir(folder / name)
            if not files.exists:
                continue
            record = read_record(files)
            if record.is_final:
                news[name] = record
        listed.append((folder / name, record))
    if news:
        index.add(news, [path.name for path, _ in listed])
    return listed


def _names(folder: Path) -> list[str]:
    """List the folders in a folder in reverse order; empty if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted((entry.name for entry in entries if _is_folder(entry)), reverse=True)
    except (FileNotFoundError, NotADirectoryError, ValueError) as reason:
        log.debug("%s holds no runs: %s", folder, reason)
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as reason:
        log.debug("%s is passed over: %s", entry.path, reason)
        return False


class Index:
    """Cache of the records of a folder's runs.

    A line holds a checksum and a JSON list of version, name and record. Lines are appended in one
    write, so several processes can append concurrently. The last line of a name counts; invalid
    lines are skipped. If the file is not writable, nothing is cached.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / NAME
        self.lines: dict[str, dict[str, Any]] = {}
        self.count = 0
        for version, name, record in self._read():
            self.count += 1
            if version == qtha_lab.__version__:
                self.lines[name] = record

    def get(self, name: str, present: list) -> Record | None:
        """Return the cached record of a run if its files are unchanged."""
        line = self.lines.get(name)
        if line is None or line.get("stamp") != present:
            return None
        try:
            return Record.from_plain(line)
        except Refusal as reason:
            log.debug("the line of %s in %s is of another form: %s", name, self.file, reason)
            return None

    def add(self, news: dict[str, Record], names: Iterable[str]) -> None:
        """Add records to the cache.

        Args:
            news: Records by name that are not in the index.
            names: Names of all existing runs; lines of other runs are dropped on a rewrite.
        """
        plain = {name: record.plain() for name, record in news.items()}
        try:
            if self.count + len(news) > SPARE * len(list(names)):
                present = {n: self.lines[n] for n in names if n in self.lines} | plain
                self._write_anew(present)
            else:
                self._append(plain)
        except (OSError, Refusal) as reason:
            log.debug("%s cannot be written: %s", self.file, reason)

    def _read(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        try:
            data = read_bytes(self.file, LIMIT, links=False)
        except (FileNotFoundError, Refusal) as reason:
            log.debug("no index: %s", reason)
            return
        for line in data.splitlines():
            checksum, _, text = line.partition(b" ")
            if text and checksum == _checksum(text) and (entry := _entry(text)):
                yield entry

    def _append(self, records: dict[str, dict[str, Any]]) -> None:
        data = b"".join(_line(name, record) for name, record in records.items())
        with append_shared(self.file) as file:
            os.write(
                file.fileno(), b"\n" + data
            )  # new line first, as the previous one may be truncated

    def _write_anew(self, records: dict[str, dict[str, Any]]) -> None:
        """Replace the index atomically.

        Lines that another process appends at the same time are lost; those runs are read again.
        """
        lines = (_line(name, record) for name, record in records.items())
        write_atomically(self.file, b"".join(lines))


def _entry(text: bytes) -> tuple[str, str, dict[str, Any]] | None:
    """Parse version, name and record; None for any other content."""
    try:
        match parse_json(text):
            case [str(version), str(name), dict(record)]:
                return version, name, record
    except Refusal as reason:
        log.debug("a line of the index is damaged: %s", reason)
    return None


def _line(name: str, record: dict[str, Any]) -> bytes:
    text = json.dumps([qtha_lab.__version__, name, record], separators=(",", ":")).encode()
    return _checksum(text) + b" " + text + b"\n"


def _checksum(text: bytes) -> bytes:
    return b"%08x" % zlib.crc32(text)
