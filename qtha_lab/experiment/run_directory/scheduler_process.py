"""A driver: a process of its own that works in a folder, is born with its lock, and goes on if its page is closed.

What drives sweeps and comparisons. Nothing has to be cleaned up after a kill: the lock dies with the process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import nearest
from qtha_lab.experiment.run_directory import queue as slots

POLL_SECONDS = 0.3


@dataclass(frozen=True)
class ScheduledDir:
    """A folder that a driver works in: `driver.lock`, `driver.log`, and `stop`, which asks the driver to stop."""

    path: Path

    lock = property(lambda self: self.path / "driver.lock")
    log = property(lambda self: self.path / "driver.log")
    stop = property(lambda self: self.path / "stop")

    @property
    def exists(self) -> bool:
        """Whether what is to be done is described here."""
        raise NotImplementedError

    @property
    def at_work(self) -> bool:
        """Whether its driver lives."""
        return slots.is_locked(self.lock)

    def wait(self, timeout: float | None = None) -> None:
        """Wait until its driver has ended, or for `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while self.at_work and (end is None or time.monotonic() < end):
            time.sleep(POLL_SECONDS)


Folder = TypeVar("Folder", bound=ScheduledDir)


def list_scheduled(kind: type[Folder], group: str) -> list[Folder]:
    """The folders of a kind under the usual runs folder, newest first.

    Args:
        kind: Whose `exists` says whether a folder is one.
        group: The folder below the runs folder that they lie in.
    """
    place = paths.runs_dir() / group
    folders = map(kind, sorted(place.iterdir(), reverse=True) if place.is_dir() else [])
    return [folder for folder in folders if folder.exists]


def find_scheduled(kind: type[Folder], group: str, noun: str, name: str | Path) -> Folder:
    """The folder of a path, or of a name under the usual runs folder.

    Args:
        kind: As for `list_scheduled`.
        group: As for `list_scheduled`.
        noun: What one is called in a sentence.
        name: The path or the name.

    Raises:
        Refusal: If there is none; names the nearest.
    """
    place = paths.runs_dir() / group
    for path in (Path(name), place / name):
        if kind(path).exists:
            return kind(path.resolve())
    known = [folder.path.name for folder in list_scheduled(kind, group)]
    close = nearest(str(name), known)
    hint = f"did you mean {close!r}?" if close else f"{place} holds {len(known)}"
    raise Refusal(f"no {noun} {str(name)!r:.80}: {hint}")


def start(module: str, folder: ScheduledDir, on: str | None = None) -> None:
    """Start a driver that is born with the folder's lock, so that no second one can come between.

    Args:
        module: What to run, by its address; it takes the folder and `--lock`, see `enter`.
        folder: Where it works.
        on: Machines that train its runs, as `qtha_lab.runs.remote` names them; None is this one.

    Raises:
        Refusal: If a driver is there.
    """
    command = [sys.executable, "-m", module, str(folder.path), *(("--on", on) if on else ())]
    lock = slots.hold(folder.lock, patience=5)
    if lock is None:
        raise Refusal(f"{folder.path.name} already has a driver")
    try:
        folder.stop.unlink(missing_ok=True)
        with folder.log.open("ab") as output:
            scheduler = subprocess.Popen(
                [*command, "--lock", str(lock)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[lock],
                start_new_session=True,
                env={**os.environ, "QTHA_LAB_LOG": os.environ.get("QTHA_LAB_LOG", "info")},
            )
    finally:
        os.close(lock)
    threading.Thread(target=scheduler.wait, daemon=True).start()  # or it would stay a zombie


class Order(NamedTuple):
    """What a driver was started for: its folder, and the machines that train its runs, None for this one."""

    path: Path
    on: str | None


def enter(description: str, arguments: list[str] | None = None) -> Order:
    """In a driver: its folder, whose lock it now holds until it ends, and its machines.

    Args:
        description: What it does, for its help.
        arguments: Of the command line; None is what was typed.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--lock", type=int, help="inherited descriptor that holds the folder's lock"
    )
    parser.add_argument("--on", help="machines that train the runs")
    options = parser.parse_args(arguments)
    folder = ScheduledDir(options.folder)
    lock = slots.hold(folder.lock, patience=1) if options.lock is None else options.lock
    if lock is None:
        parser.exit(2, f"a driver is already at {folder.path}\n")
    os.set_inheritable(lock, False)
    slots.sign(lock, os.getpid())
    return Order(folder.path, options.on)
