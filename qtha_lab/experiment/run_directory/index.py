"""All runs of a folder at once: each directory is read when it has changed, and remembered in `.index.jsonl`.

The directories are the truth. The index is a cache with one line per run, which can be deleted, cut or
overwritten at any time: a line counts only while the files of its run are as they were when it was written.
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
from qtha_lab.core.io import parse_json, read_bytes
from qtha_lab.core.locks import open_shared, share
from qtha_lab.experiment.run_directory.files import RunDir
from qtha_lab.experiment.run_directory.record import Record, read, stamp

LIMIT = 2**28
"""Bytes of an index; a larger one is written anew."""
NAME = ".index.jsonl"
log = logging.getLogger(__name__)

SPARE = 2  # lines per run, from which on the file is written anew


def records(folder: Path) -> list[tuple[Path, Record]]:
    """Every run of a folder with what its files say, newest first; other folders in it are passed over."""
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
            record = read(files)
            if record.settled:
                news[name] = record
        listed.append((folder / name, record))
    if news:
        index.add(news, [path.name for path, _ in listed])
    return listed


def _names(folder: Path) -> list[str]:
    """The folders in a folder, last name first; none where it cannot be looked into."""
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
    """What was read of the runs of a folder before.

    A line is a checksum and a JSON list of version, name and record. Lines are appended in one write, so
    that several processes may do it at once; of one name the last counts, and what is no line is passed over.
    Where the file cannot be written to, nothing is remembered.
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
        """The record of a run, if its files are as they were then."""
        line = self.lines.get(name)
        if line is None or line.get("stamp") != present:
            return None
        try:
            return Record.from_plain(line)
        except Refusal as reason:
            log.debug("the line of %s in %s is of another form: %s", name, self.file, reason)
            return None

    def add(self, news: dict[str, Record], names: Iterable[str]) -> None:
        """Remember records.

        Args:
            news: By name, those that are not in the index yet.
            names: All runs that there are; of others nothing needs to be remembered.
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
        fd = open_shared(self.file, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(fd, b"\n" + data)  # whatever was cut before, these lines begin here
        finally:
            os.close(fd)

    def _write_anew(self, records: dict[str, dict[str, Any]]) -> None:
        """Readers see the old lines or the new ones; what another process writes meanwhile is read again."""
        anew = self.file.with_name(
            f"{NAME}.new"
        )  # one name: what a kill leaves, the next one takes
        anew.write_bytes(b"".join(_line(name, record) for name, record in records.items()))
        share(anew, self.file.parent)
        anew.replace(self.file)


def _entry(text: bytes) -> tuple[str, str, dict[str, Any]] | None:
    """Read version, name and record; None where a line holds anything else."""
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
