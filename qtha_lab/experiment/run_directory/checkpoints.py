"""Checkpoint folders of a run: manifests with checksums, verification, and moving aside.

Reads no tensor; `qtha_lab.training.resume` checks the content of the files.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import digest, move, read_mapping, remove, sync, sync_tree, write_json

log = logging.getLogger(__name__)

MANIFEST = "complete"
NAME = re.compile(r"checkpoint-(0|[1-9]\d{0,14})")
KEEP = 2


def place(checkpoints: Path, step: int) -> Path:
    """Return the folder of a step's checkpoint."""
    return checkpoints / f"checkpoint-{step}"


def by_step(checkpoints: Path) -> dict[int, Path]:
    """Return all paths with a checkpoint's name by step, newest first.

    Other names are ignored.
    """
    if not checkpoints.is_dir():
        return {}
    names = ((NAME.fullmatch(path.name), path) for path in checkpoints.iterdir())
    steps = {int(name[1]): path for name, path in names if name}
    return dict(sorted(steps.items(), reverse=True))


def announced_step(events: list[dict[str, Any]]) -> int:
    """Return the newest checkpoint step in the event log, or 0 without one."""
    return next((e["step"] for e in reversed(events) if e["kind"] == "checkpoint"), 0)


def write_manifest(folder: Path) -> None:
    """Write a manifest with name, size and SHA-256 of every file.

    The manifest marks the checkpoint as complete; all files are synced to the disk first.
    """
    sync_tree(folder)
    files = {name: _described(folder / name) for name in _names(folder)}
    write_json(folder / MANIFEST, {"files": files}, below=folder.parent.parent)
    sync(folder.parent)


def is_checksummed(folder: Path) -> bool:
    """Return True if the manifest contains checksums; version 0.2.0 wrote an empty file."""
    return (folder / MANIFEST).stat().st_size > 0


def damage(folder: Path) -> str | None:
    """Describe the first file that differs from the manifest; None for an intact checkpoint."""
    if folder.is_symlink() or not folder.is_dir():
        return "it is not a folder"
    try:
        if not (folder / MANIFEST).is_file():
            return f"{MANIFEST}: missing"
        return _differs(folder) if is_checksummed(folder) else None
    except OSError as refused:
        return f"{Path(refused.filename or folder).name}: {refused.strerror}"
    except Refusal as refused:
        return str(refused)


def _differs(folder: Path) -> str | None:
    files = (read_mapping(folder / MANIFEST) or {}).get("files")
    if not isinstance(files, dict) or not files:
        return f"{MANIFEST}: no list of checksums"
    names = _names(folder)
    for name, facts in files.items():
        if name not in names:
            return f"{name}: missing"
        if _described(folder / name) != facts:
            return f"{name}: not as it was written"
    strangers = [name for name in names if name not in files and not name.startswith(".")]
    return f"{strangers[0]}: no part of it" if strangers else None


def discard_unfinished(checkpoints: Path, after: int) -> None:
    """Delete unfinished checkpoints of a killed worker.

    These are folders without a manifest, of steps that no event announced.
    """
    for step, path in by_step(checkpoints).items():
        if (
            step > after
            and path.is_dir()
            and not path.is_symlink()
            and not (path / MANIFEST).exists()
        ):
            log.info("%s is half-written and deleted", path)
            remove(path)


def keep_newest(checkpoints: Path, count: int = KEEP) -> None:
    """Delete all checkpoints except the newest ones."""
    for path in list(by_step(checkpoints).values())[count:]:
        if not path.is_symlink():
            remove(path, ignore_errors=True)


def disk_space_needed(checkpoints: Path) -> int:
    """Estimate the bytes of the next checkpoint.

    The size of the newest checkpoint, plus 1 MiB for the log.
    """
    folders = [path for path in by_step(checkpoints).values() if path.is_dir()]
    files = folders[0].rglob("*") if folders else ()
    return 2**20 + sum(path.stat().st_size for path in files if path.is_file())


def set_aside(path: Path) -> None:
    """Rename a damaged or unwanted checkpoint so that no run resumes from it."""
    for number in range(1, 10**6):
        aside = path.with_name(f"aside-{number}-{path.name}")
        if not aside.exists() and not aside.is_symlink():
            move(path, aside)
            log.info("%s is put aside as %s", path, aside.name)
            return


def _names(folder: Path) -> list[str]:
    """List the files of a checkpoint without its manifest."""
    paths = (path for path in sorted(folder.rglob("*")) if not path.is_dir())
    names = (path.relative_to(folder).as_posix() for path in paths)
    return [name for name in names if name != MANIFEST and not name.startswith(f".{MANIFEST}.")]


def _described(path: Path) -> dict[str, int | str]:
    return {"size": path.stat().st_size, "sha256": digest(path)}
