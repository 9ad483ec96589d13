"""Trash of a runs folder: `.trash/`, which holds deleted runs.

Runs stay there until they are restored or erased. A run is moved to the trash and back by one
rename, so a killed process leaves it intact in one of the two folders. The trash is itself a folder
of runs and can be listed as one.
"""

from __future__ import annotations

import os
from pathlib import Path

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder, move, open_shared, refuse_links, remove
from qtha_lab.core.locks import PROBE_SECONDS, acquire_within
from qtha_lab.core.settings import unknown
from qtha_lab.experiment.run_directory import queue
from qtha_lab.experiment.run_directory.events import last_status, read_tail
from qtha_lab.experiment.run_directory.files import RunDir

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
