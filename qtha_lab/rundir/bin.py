"""The bin of a runs folder: runs are moved into `.bin/`, and back, each by one rename."""

from __future__ import annotations

import shutil
from pathlib import Path

from qtha_lab.errors import Refusal
from qtha_lab.rundir.files import RunDir
from qtha_lab.rundir.slots import is_held
from qtha_lab.settings import unknown

NAME = ".bin"


def bin_of(folder: Path) -> Path:
    """Where the deleted runs of a folder lie."""
    return folder / NAME


def discard(run: RunDir) -> Path:
    """Move a run into the bin of its folder.

    Returns:
        Where it lies now.

    Raises:
        Refusal: If a worker is at work in it, or the bin has a run of its name.
    """
    if is_held(run.lock):
        raise Refusal(f"run {run.path.name} is at work: stop it before it is deleted")
    place = bin_of(run.path.parent)
    place.mkdir(exist_ok=True)
    return _move(run.path, place / run.path.name)


def restore(name: str, folder: Path) -> Path:
    """Move a run from the bin back into its folder.

    Raises:
        Refusal: If the bin has no such run, or the folder has one of its name.
    """
    if name not in binned(folder):
        raise unknown("deleted run", name, binned(folder))
    return _move(bin_of(folder) / name, folder / name)


def binned(folder: Path) -> list[str]:
    """The runs in the bin, newest first."""
    place = bin_of(folder)
    found = place.iterdir() if place.is_dir() else ()
    return sorted((path.name for path in found if RunDir(path).exists), reverse=True)


def empty(folder: Path) -> list[str]:
    """Delete what is in the bin for good; the names of the runs."""
    names = binned(folder)
    for name in names:
        shutil.rmtree(bin_of(folder) / name)
    return names


def _move(source: Path, target: Path) -> Path:
    if target.exists():
        raise Refusal(f"there is a run {target.name} in {target.parent} already: rename one of them")
    return source.rename(target)
