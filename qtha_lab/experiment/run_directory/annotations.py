"""Annotations of runs (name, tags, note, pin), and the trash `.trash/` of deleted runs.

Each change is one appended line, so concurrent writers lose nothing and a killed process leaves all
earlier changes intact. Annotations do not affect the run. A run is moved to
the trash and back by one rename; the trash is itself a folder of runs and can be listed as one.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder, move, open_shared, refuse_links, remove
from qtha_lab.core.locks import PROBE_SECONDS, acquire_within
from qtha_lab.core.settings import unknown
from qtha_lab.experiment.run_directory import queue
from qtha_lab.experiment.run_directory.events import EventLog, last_status, read_events, read_tail
from qtha_lab.experiment.run_directory.files import RunDir

LONGEST = {"name": 200, "note": 10_000, "tag": 60}


@dataclass(frozen=True)
class Annotations:
    """Annotations of a run: name, note, pin and tags.

    Example:
        >>> change = {"add": ["best"], "remove": ["old"], "pinned": True}
        >>> Annotations(tags=("old",)).changed(change)
        Annotations(name='', note='', pinned=True, tags=('best',))
    """

    name: str = ""
    note: str = ""
    pinned: bool = False
    tags: tuple[str, ...] = ()

    def changed(self, change: dict[str, Any]) -> Annotations:
        """Apply one change, as stored in a line of the file."""
        changes = {n: change[n] for n in ("name", "note", "pinned") if n in change}
        tags = dict.fromkeys([*self.tags, *change.get("add", ())])
        left = tuple(tag for tag in tags if tag not in change.get("remove", ()))
        return dataclasses.replace(self, **changes, tags=left)

    def plain(self) -> dict[str, Any]:
        """Return the non-empty annotations as JSON values."""
        fields = {"name": self.name, "note": self.note, "pinned": self.pinned}
        return {n: v for n, v in {**fields, "tags": list(self.tags)}.items() if v}


def read_annotations(run: RunDir) -> Annotations:
    """Read the annotations of a run; damaged lines are ignored."""
    annotations = Annotations()
    for event in read_events(run.annotations)[0]:
        if event["kind"] == "annotation":
            annotations = annotations.changed(event)
    return annotations


def annotate(
    run: RunDir,
    *,
    name: str | None = None,
    note: str | None = None,
    pinned: bool | None = None,
    add: Collection[str] = (),
    remove: Collection[str] = (),
) -> Annotations:
    """Change annotations of a run; None leaves a field unchanged.

    The change is on the disk when the function returns.

    Returns:
        Annotations after the change.

    Raises:
        Refusal: If a text is too long, a tag is empty or contains a comma, or the run is not
            writable.
    """
    if name is not None:
        name = _checked("name", " ".join(name.split()))
    if note is not None:
        note = _checked("note", note.strip())
    add, remove = [_tag(tag) for tag in add], [tag.strip() for tag in remove]
    change = {"name": name, "note": note, "pinned": pinned, "add": add, "remove": remove}
    change = {field: value for field, value in change.items() if value not in (None, [])}
    if change:
        _append(run, change)
    return read_annotations(run)


def _append(run: RunDir, change: dict[str, Any]) -> None:
    try:
        log = EventLog(run.annotations)
        try:
            log.append("annotation", **change)
        finally:
            log.close()
    except OSError as reason:
        raise Refusal(f"Run {run.path.name} cannot be annotated ({reason.strerror}).") from None


def _tag(tag: str) -> str:
    tag = tag.strip()
    if not tag or "," in tag or not tag.isprintable():
        raise Refusal(f"A tag must be a short text without a comma, got {tag!r:.80}.")
    return _checked("tag", tag)


def _checked(kind: str, text: str) -> str:
    if len(text) > LONGEST[kind]:
        raise Refusal(
            f"A {kind} must have at most {LONGEST[kind]:,} characters, got {len(text):,}."
        )
    return text


NAME = ".trash"
DOOMED = ".erasing"  # runs that are being erased
PATIENCE = 10.0  # seconds; an ended worker releases its lock within this time


def trash_of(folder: Path) -> Path:
    """Return the trash folder of a runs folder."""
    return folder / NAME


def delete(run: RunDir) -> Path:
    """Move a run to the trash of its folder.

    Returns:
        New path of the run.

    Raises:
        Refusal: If a worker is running, the trash has a run of this name, or the folder is not
            writable.
    """
    if run.path.parent.name == NAME:
        raise Refusal(
            f"A run to delete must not be in the trash, got {run.path.name}. Empty the trash to "
            "erase it."
        )
    if queue.is_locked(run.sent):
        raise Refusal(
            f"A run to delete must not train on other machines, got {run.path.name}. Stop it first."
        )
    try:
        lock = open_shared(run.lock, os.O_RDWR)
        try:
            # no worker may start meanwhile; another process may look at the lock
            acquire_within(lock, run.lock, PATIENCE if _has_ended(run) else PROBE_SECONDS)
            make_folder(trash_of(run.path.parent), run.path.parent)
            return _move(run.path, trash_of(run.path.parent) / run.path.name)
        finally:
            os.close(lock)
    except BlockingIOError:
        raise Refusal(
            f"A run to delete must not be running, got {run.path.name}. Stop it first."
        ) from None
    except OSError as reason:
        raise Refusal(f"Run {run.path.name} cannot be moved ({reason.strerror}).") from None


def restore(name: str, folder: Path) -> Path:
    """Move a run from the trash back to its folder.

    Returns:
        New path of the run.

    Raises:
        Refusal: If the trash has no such run, or the folder has a run of its name.
    """
    refuse_links(trash_of(folder), folder)
    names = list_trash(folder)
    if name not in names:
        raise unknown("deleted run", name, names)
    try:
        return _move(trash_of(folder) / name, folder / name)
    except OSError as reason:
        raise Refusal(f"Run {name} cannot be moved ({reason.strerror}).") from None


def list_trash(folder: Path) -> list[str]:
    """List the runs in the trash of a folder, newest first."""
    place = trash_of(folder)
    paths = place.iterdir() if place.is_dir() else ()
    return sorted((path.name for path in paths if RunDir(path).exists), reverse=True)


def empty_trash(folder: Path) -> list[str]:
    """Erase the runs in the trash of a folder, and remains of an interrupted erasure.

    Returns:
        Names of the runs.
    """
    place, names = trash_of(folder), list_trash(folder)
    refuse_links(place, folder)
    doomed = place / DOOMED
    remove(doomed, folder)
    if names:
        make_folder(doomed, folder)
        for name in names:
            move(place / name, doomed / name, folder)
        remove(doomed, folder)
    return names


def _has_ended(run: RunDir) -> bool:
    status = last_status(read_tail(run.events), 0)
    return status is None or status.ended


def _move(source: Path, target: Path) -> Path:
    if target.exists():
        raise Refusal(
            f"{target.parent} must have no run {target.name}, got one. Rename one of the folders."
        )
    move(source, target)
    return target
