"""The bin of a runs folder: `.bin/` in it, where deleted runs lie until they are restored or the bin is emptied.

A run is moved there, and back, by one rename: wherever a kill comes, it is whole in one of the two places. The
bin is a folder of runs itself, and can be listed as one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from pathlib import Path

from qtha_lab.core.errors import Refusal
from qtha_lab.core.locks import make_folder, open_shared
from qtha_lab.core.settings import unknown
from qtha_lab.experiment.run_directory import queue as slots
from qtha_lab.experiment.run_directory.events import read_tail
from qtha_lab.experiment.run_directory.files import RunDir, sync
from qtha_lab.experiment.run_directory.status import last_status

NAME = ".bin"
DOOMED = ".doomed"  # runs of which a part may be gone already
PATIENCE = 10.0  # seconds in which a worker that has told its end lets go of the run


def trash_of(folder: Path) -> Path:
    """Where the deleted runs of a folder lie."""
    return folder / NAME


def delete(run: RunDir) -> Path:
    """Move a run into the bin of its folder.

    Returns:
        Where it lies now.

    Raises:
        Refusal: If a worker is at it, the bin has a run of its name or the folder cannot be written to.
    """
    if run.path.parent.name == NAME:
        raise Refusal(f"run {run.path.name} is in the bin already: empty the bin to be rid of it")
    if slots.is_locked(run.sent):
        raise Refusal(f"run {run.path.name} is on other machines: stop it before it is deleted")
    try:
        lock = open_shared(run.lock, os.O_RDWR)
        try:
            _hold(lock, PATIENCE if _has_ended(run) else 0.0)  # no worker starts while it is moved
            make_folder(trash_of(run.path.parent))
            return _move(run.path, trash_of(run.path.parent) / run.path.name)
        finally:
            os.close(lock)
    except BlockingIOError:
        raise Refusal(f"run {run.path.name} is at work: stop it before it is deleted") from None
    except OSError as reason:
        raise Refusal(f"run {run.path.name} cannot be moved: {reason.strerror}") from None


def restore(name: str, folder: Path) -> Path:
    """Move a run from the bin of a folder back into the folder.

    Returns:
        Where it lies now.

    Raises:
        Refusal: If the bin has no such run, or the folder has one of its name.
    """
    names = binned(folder)
    if name not in names:
        raise unknown("deleted run", name, names)
    try:
        return _move(trash_of(folder) / name, folder / name)
    except OSError as reason:
        raise Refusal(f"run {name} cannot be moved: {reason.strerror}") from None


def binned(folder: Path) -> list[str]:
    """The runs in the bin of a folder, newest first."""
    place = trash_of(folder)
    paths = place.iterdir() if place.is_dir() else ()
    return sorted((path.name for path in paths if RunDir(path).exists), reverse=True)


def empty(folder: Path) -> list[str]:
    """Erase the runs in the bin of a folder for good, and what an earlier emptying left of some.

    Returns:
        The names of the runs.
    """
    place, names = trash_of(folder), binned(folder)
    doomed = place / DOOMED
    if doomed.exists():
        shutil.rmtree(doomed)
    if names:
        doomed.mkdir()
        for name in names:
            os.replace(place / name, doomed / name)
        shutil.rmtree(doomed)
    return names


def _has_ended(run: RunDir) -> bool:
    status = last_status(read_tail(run.events), 0)
    return status is None or status.ended


def _hold(lock: int, patience: float) -> None:
    """Take the lock of an open file; a worker that holds it for longer is at work."""
    end = time.monotonic() + patience
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.02)


def _move(source: Path, target: Path) -> Path:
    if target.exists():
        raise Refusal(f"{target.parent} has a run {target.name} already: rename one of the folders")
    source.rename(target)
    for folder in (target.parent, source.parent):
        sync(folder)
    return target
