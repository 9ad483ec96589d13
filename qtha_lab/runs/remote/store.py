"""Run directories in an object store, for machines that share no folder.

The store is at any address that fsspec supports. An interruption at any moment leaves a consistent
run in the store. A checkpoint's files come first, then its manifest, then everything else, and last
the events. A checkpoint counts once the events announce it. This module starts no process.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import (
    make_folder,
    open_file,
    open_shared,
    parse_json,
    refuse_inner_links,
    refuse_links,
    relative_name,
    shortened,
    staged,
    write_atomically,
)
from qtha_lab.experiment.run_directory import RunDir, checkpoints
from qtha_lab.experiment.run_directory.events import parse_events, read_events
from qtha_lab.experiment.run_directory.status import TERMINAL

log = logging.getLogger(__name__)

CONNECT_SECONDS = 20.0
EVENTS, WORKER, STOP = "events.jsonl", "taken_by.json", "stop"
NOT_PUT = {EVENTS, STOP, "worker.lock", "machine.lock", "exit.json", "annotations.jsonl"}
FILES = NOT_PUT | {
    WORKER,
    "experiment.yaml",
    "origin.json",
    "environment.json",
    "plugins.json",
    "worker.log",
    "test.json",
    "summary.json",
}
"""Files of a run directory."""
FOLDERS = {"adapter", "best", "checkpoints", "exports", "tensorboard"}
"""Folders of a run directory."""
OVERLAP = 256  # bytes of overlap that are compared before an append


class Store:
    """A folder of run directories in a store.

    Args:
        url: Its address, such as `s3://bucket/runs`.

    Raises:
        Refusal: If the address is invalid, or its package is missing.
    """

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs

        self.url = url
        try:
            self.files, self.root = url_to_fs(url)
        except (ImportError, ValueError, OSError) as problem:
            raise Refusal(
                f"The store must be an address that fsspec opens, got {shortened(url, 60)}. "
                f"{shortened(one_line(problem), 60)}"
            ) from problem

    def check(self) -> None:
        """Write a test file to the store and delete it.

        Raises:
            Refusal: If that fails, or does not complete within `CONNECT_SECONDS`.
        """
        problems: list[Exception | None] = []

        def write() -> None:
            try:
                place = f"{self.root}/.{secrets.token_hex(4)}"
                self.files.makedirs(self.root, exist_ok=True)
                self.files.pipe_file(place, b"qtha-lab")
                self.files.rm_file(place)
                problems.append(None)
            except Exception as problem:  # any exception of the store's library
                log.debug("the store %s: %r", self.url, problem)
                problems.append(problem)

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        writer.join(CONNECT_SECONDS)
        if not problems:
            raise Refusal(
                f"Store {shortened(self.url)} must respond within {CONNECT_SECONDS:g} s, got no "
                "response. Check its address and your network."
            )
        if problems[0] is not None:
            raise Refusal(
                f"Store {shortened(self.url)} must be writable, got {one_line(problems[0])}."
            )

    def run(self, name: str) -> StoredRun:
        """Return the run of a name, which need not exist yet."""
        return StoredRun(self, name)


def opened(url: str | None) -> Store | None:
    """Open the store at an address and check that it is writable; None gives None.

    Raises:
        Refusal: If it is not writable.
    """
    if url is None:
        return None
    store = Store(url)
    store.check()
    return store


class StoredRun:
    """One run's directory in a store, with a record of the uploaded files."""

    def __init__(self, store: Store, name: str) -> None:
        self.name, self.files, self.path = name, store.files, f"{store.root}/{name}"
        self._put: dict[str, tuple[int, int]] = {}
        self._steps: set[int] = set()

    @property
    def exists(self) -> bool:
        """True if the store has the run."""
        return self.files.exists(f"{self.path}/experiment.yaml")

    def push(self, run: RunDir) -> None:
        """Upload the changes of a run's directory.

        The events are uploaded last, in their state at the beginning of the upload.
        """
        step, size = self._put_announced(run)
        for name in _changing(run.path):
            self._put_file(run.path / name, name)
        if self._put.get(EVENTS) != (size, step):
            with open_file(run.events, links=False) as file:
                self._write(EVENTS, file.read(size))
            self._put[EVENTS] = size, step
            self._keep_newest(step)

    def _put_announced(self, run: RunDir) -> tuple[int, int]:
        """Upload the checkpoint that the events announce.

        Return its step, and the size of the events in bytes.
        """
        while True:
            events, size = read_events(run.events)
            step = checkpoints.announced_step(events)
            folder = checkpoints.place(run.checkpoints, step)
            if step in self._steps | {0}:
                return step, size
            try:
                self._put_checkpoint(folder)
                self._steps.add(step)
            except FileNotFoundError as gone:  # deleted to make space for newer ones
                log.debug("%s is not put into the store: %s", folder, gone)
                if checkpoints.announced_step(read_events(run.events)[0]) == step:
                    return step, size

    def _keep_newest(self, step: int) -> None:
        """Delete checkpoints beyond the announced step, and those older than a run keeps."""
        steps = self._stored_steps()
        newest = [number for number in steps if number <= step][: checkpoints.KEEP]
        for number in set(steps) - set(newest):
            self._remove_checkpoint(number)

    def pull(self, run: RunDir) -> bool:
        """Download a run's directory up to its stored events; return True if it exists.

        Args:
            run: The local directory; longer local events stay.
        """
        if not self.exists:
            return False
        make_folder(run.path)
        refuse_inner_links(run.path, 2)
        events = self.files.cat_file(f"{self.path}/{EVENTS}") if self._has(EVENTS) else b""
        step = checkpoints.announced_step(parse_events(events))
        for number in self._stored_steps():
            folder = checkpoints.place(run.checkpoints, number)
            if number <= step and not folder.exists():
                self._get_checkpoint(number, folder)
            self._steps.add(number)
        for name in self._names():
            if not name.startswith("checkpoints/") and name not in NOT_PUT | {WORKER}:
                self._get_file(name, run.path / name)
        _append(run.events, events, 0)
        return True

    def follow(self, run: RunDir) -> None:
        """Download new events; events that end a run come after all other files.

        Raises:
            FileNotFoundError: If the store has no events.
        """
        size = _size(run.events)
        self.files.invalidate_cache()
        if self.files.size(f"{self.path}/{EVENTS}") <= size:
            return
        begin = max(0, size - OVERLAP)
        data = self.files.cat_file(f"{self.path}/{EVENTS}", start=begin)
        ends = (e for e in parse_events(data) if e["kind"] == "status" and e["state"] in TERMINAL)
        if next(ends, None) or not _append(run.events, data, begin):
            self.pull(run)

    # ownership and stop requests

    def take(self) -> str:
        """Sign the run with a name of this process, and return the name.

        A previous owner finds the new name there and stops.
        """
        name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._write(WORKER, json.dumps({"name": name}).encode())
        return name

    def taken_by(self) -> str | None:
        """Return the name of the process that owns the run, or None."""
        if not self._has(WORKER):
            return None
        signed = parse_json(self.files.cat_file(f"{self.path}/{WORKER}"))
        return str(signed.get("name")) if isinstance(signed, dict) else None

    def leave(self) -> None:
        """Delete the signature."""
        self._remove(WORKER)

    def request_stop(self, ask: bool = True) -> None:
        """Set or clear the stop request of the run."""
        self._write(STOP, b"stop\n") if ask else self._remove(STOP)

    def stop_requested(self) -> bool:
        """Return True if a stop was requested."""
        return self._has(STOP)

    # file operations

    def _has(self, name: str) -> bool:
        self.files.invalidate_cache()
        return self.files.exists(f"{self.path}/{name}")

    def _names(self) -> list[str]:
        """List the stored files, relative to the run's directory.

        Raises:
            Refusal: If the store has a name that no run directory holds, such as `../x`.
        """
        self.files.invalidate_cache()
        return [_known_name(path, self.path) for path in self.files.find(self.path)]

    def _stored_steps(self) -> list[int]:
        """Return the steps of the stored checkpoints with a manifest, newest first."""
        parts = (name.split("/") for name in self._names())
        last = [checkpoints.MANIFEST]
        names = (p[1] for p in parts if p[0] == "checkpoints" and p[2:] == last)
        matches = map(checkpoints.NAME.fullmatch, names)
        return sorted((int(match[1]) for match in matches if match), reverse=True)

    def _write(self, name: str, data: bytes) -> None:
        """Write a file atomically: to a temporary name, then moved to its place."""
        place = f"{self.path}/{name}"
        self.files.makedirs(place.rpartition("/")[0], exist_ok=True)
        self.files.pipe_file(f"{place}.new", data)
        self.files.mv(f"{place}.new", place)

    def _put_file(self, file: Path, name: str) -> None:
        try:
            stat = file.stat()
            if self._put.get(name) != (stat.st_size, stat.st_mtime_ns):
                self._write(name, _whole(file))
                self._put[name] = stat.st_size, stat.st_mtime_ns
        except FileNotFoundError as gone:
            log.debug("%s is rewritten: %s", file, gone)

    def _put_checkpoint(self, folder: Path) -> None:
        """Upload the files of a checkpoint, then the manifest that verifies them."""
        refuse_links(folder, folder.parent.parent)
        names = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
        for name in sorted(names, key=lambda name: name == checkpoints.MANIFEST):
            self._write(f"checkpoints/{folder.name}/{name}", _whole(folder / name))

    def _remove_checkpoint(self, step: int) -> None:
        """Delete a checkpoint, its manifest first."""
        place = f"checkpoints/{checkpoints.place(Path(), step).name}"
        self._remove(f"{place}/{checkpoints.MANIFEST}")
        self.files.rm(f"{self.path}/{place}", recursive=True)

    def _remove(self, name: str) -> None:
        if self._has(name):
            self.files.rm_file(f"{self.path}/{name}")

    def _get_checkpoint(self, step: int, folder: Path) -> None:
        make_folder(folder.parent)
        with staged(folder) as new:
            make_folder(new)
            prefix = f"checkpoints/{folder.name}/"
            for name in self._names():
                if name.startswith(prefix) and not name.endswith(".new"):
                    data = self.files.cat_file(f"{self.path}/{name}")
                    write_atomically(new / name.removeprefix(prefix), data)

    def _get_file(self, name: str, place: Path) -> None:
        if not name.endswith(".new"):
            make_folder(place.parent)
            write_atomically(place, self.files.cat_file(f"{self.path}/{name}"))


def _known_name(key: str, folder: str) -> str:
    """Return the name of a stored file within a run directory.

    Raises:
        Refusal: If no run directory holds such a file.
    """
    name = key.lstrip("/").removeprefix(f"{folder.strip('/')}/")
    try:
        head, _, rest = relative_name(name).partition("/")
    except Refusal as reason:
        log.debug("%s is refused: %s", key, reason)
        head, rest = "", ""
    if head not in FOLDERS if rest else head.removesuffix(".new") not in FILES:
        raise Refusal(
            f"The store must hold only files of a run, got {shortened(key, 160)!r}. "
            "Delete this file from the store."
        )
    return name


def failure(problem: Exception) -> str:
    """Return a sentence on an error of a store."""
    return (
        str(problem)
        if isinstance(problem, Refusal)
        else f"the store does not respond: {one_line(problem)}"
    )


def _changing(folder: Path) -> Iterator[str]:
    """Yield the names of a run's files that are uploaded unchanged.

    Locks, checkpoints and unfinished files are excluded.
    """
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        parts = name.split("/")
        unfinished = any(part.startswith(".") or part.endswith(".new") for part in parts)
        known = name in FILES or (len(parts) > 1 and parts[0] in FOLDERS)
        is_put = known and parts[0] != "checkpoints" and name not in NOT_PUT | {WORKER}
        if is_put and not unfinished and path.is_file() and not path.is_symlink():
            yield name


def _whole(file: Path) -> bytes:
    """Read a file of any size."""
    with open_file(file, links=False) as opened_file:
        return opened_file.read()


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _append(file: Path, data: bytes, begin: int) -> bool:
    """Append data that begin at a byte of the file; return True on success.

    The overlap with the present content must be equal. Data from byte 0 replace a file that
    differs. A longer file is not changed.
    """
    size = _size(file)
    if begin + len(data) <= size:
        return True
    fd = open_shared(file, os.O_RDWR | os.O_APPEND)
    with os.fdopen(fd, "a+b") as there:
        there.seek(begin)
        if there.read(size - begin) == data[: size - begin]:
            there.write(data[size - begin :])
            return True
    if begin == 0:
        write_atomically(file, data)
    return begin == 0


def one_line(problem: Exception) -> str:
    """Return the first line of a library's message, or the name of its type."""
    lines = str(problem).strip().splitlines()
    return shortened(lines[0]) if lines else type(problem).__name__
