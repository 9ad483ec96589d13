"""A run's checkpoints as folders: with a manifest of every file's checksum, held against it, set aside.

Knows no tensor; what the files of a checkpoint must hold is checked in `qtha_lab.training.resume`.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import digest, read_mapping
from qtha_lab.experiment.run_directory.files import sync, sync_tree, write_atomically

log = logging.getLogger(__name__)

MANIFEST = "complete"
NAME = re.compile(r"checkpoint-(0|[1-9]\d{0,14})")
KEEP = 2


def place(checkpoints: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return checkpoints / f"checkpoint-{step}"


def by_step(checkpoints: Path) -> dict[int, Path]:
    """Everything named as the checkpoint of a step, newest step first; whatever else lies there is not ours."""
    if not checkpoints.is_dir():
        return {}
    names = ((NAME.fullmatch(path.name), path) for path in checkpoints.iterdir())
    steps = {int(name[1]): path for name, path in names if name}
    return dict(sorted(steps.items(), reverse=True))


def announced_step(events: list[dict[str, Any]]) -> int:
    """The step of the checkpoint that the log says is the newest; 0 where it says none."""
    return next((e["step"] for e in reversed(events) if e["kind"] == "checkpoint"), 0)


def write_manifest(folder: Path) -> None:
    """Mark a checkpoint as whole, once all of it is on the disk: name, size and SHA-256 of every file."""
    sync_tree(folder)
    files = {name: _described(folder / name) for name in _names(folder)}
    write_atomically(folder / MANIFEST, json.dumps({"files": files}, indent=1) + "\n")
    sync(folder)
    sync(folder.parent)


def is_checksummed(folder: Path) -> bool:
    """Whether the manifest holds checksums; version 0.2.0 left an empty file."""
    return (folder / MANIFEST).stat().st_size > 0


def damage(folder: Path) -> str | None:
    """The first file that is not as its manifest says, and how; None for a whole checkpoint."""
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
    """Delete what a killed worker left half-written: folders without a manifest, of steps never announced."""
    for step, path in by_step(checkpoints).items():
        if (
            step > after
            and path.is_dir()
            and not path.is_symlink()
            and not (path / MANIFEST).exists()
        ):
            log.info("%s is half-written and deleted", path)
            shutil.rmtree(path)


def keep_newest(checkpoints: Path, count: int = KEEP) -> None:
    """Delete all checkpoints but the newest ones."""
    for path in list(by_step(checkpoints).values())[count:]:
        if not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)


def disk_space_needed(checkpoints: Path) -> int:
    """Bytes that the next checkpoint takes: as many as the newest one, and some for the log."""
    folders = [path for path in by_step(checkpoints).values() if path.is_dir()]
    files = folders[0].rglob("*") if folders else ()
    return 2**20 + sum(path.stat().st_size for path in files if path.is_file())


def set_aside(path: Path) -> None:
    """Give a damaged or unwanted checkpoint a name under which nobody goes on from it."""
    for number in range(1, 10**6):
        aside = path.with_name(f"aside-{number}-{path.name}")
        if not aside.exists() and not aside.is_symlink():
            path.rename(aside)
            log.info("%s is put aside as %s", path, aside.name)
            return


def _names(folder: Path) -> list[str]:
    """The files of a checkpoint, its manifest left out."""
    paths = (path for path in sorted(folder.rglob("*")) if not path.is_dir())
    names = (path.relative_to(folder).as_posix() for path in paths)
    return [name for name in names if name != MANIFEST and not name.startswith(f".{MANIFEST}.")]


def _described(path: Path) -> dict[str, int | str]:
    return {"size": path.stat().st_size, "sha256": digest(path)}
