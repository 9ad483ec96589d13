"""Scheduler process of a folder, which holds the folder's lock and outlives the notebook page.

Sweeps and comparisons use it. A killed process needs no cleanup, because its lock is released when
it ends.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from qtha_lab.core import fault_log, locks, paths
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import append_shared, refuse_inner_links, remove_file, write_atomically
from qtha_lab.core.processes import module_command
from qtha_lab.core.settings import nearest
from qtha_lab.experiment.run_directory import disk, queue

POLL_SECONDS = 0.3
LEVELS = 3  # of a comparison that hold its folders and runs: tuning/CONTENDER/runs
FORKABLE = {"OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}  # no thread pools
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScheduledDir:
    """Folder of a scheduler process: `scheduler.lock`, `scheduler.log`, and `stop`.

    The file `stop` is a stop request to the scheduler process.
    """

    path: Path

    lock = property(lambda self: self.path / "scheduler.lock")
    start = property(lambda self: self.path / "start.lock")
    log = property(lambda self: self.path / "scheduler.log")
    stop = property(lambda self: self.path / "stop")

    @property
    def exists(self) -> bool:
        """True if this folder contains a description of the work."""
        raise NotImplementedError

    @property
    def at_work(self) -> bool:
        """True if the scheduler process is running."""
        return queue.is_locked(self.lock) or queue.is_locked(self.start)

    def request_stop(self) -> None:
        """Request that the scheduler process stops with all runs saved."""
        write_atomically(self.stop, "")

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the scheduler process has ended, or for `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while self.at_work and (end is None or time.monotonic() < end):
            time.sleep(POLL_SECONDS)


Folder = TypeVar("Folder", bound=ScheduledDir)


def list_scheduled(kind: type[Folder], group: str) -> list[Folder]:
    """List the folders of a kind under the default runs folder, newest first.

    Args:
        kind: Class whose `exists` identifies a folder of this kind.
        group: Subfolder of the runs folder.
    """
    place = paths.runs_dir() / group
    folders = map(kind, sorted(place.iterdir(), reverse=True) if place.is_dir() else [])
    return [folder for folder in folders if folder.exists]


def find_scheduled(kind: type[Folder], group: str, noun: str, name: str | Path) -> Folder:
    """Find a folder by its path, or by its name under the default runs folder.

    Args:
        kind: As for `list_scheduled`.
        group: As for `list_scheduled`.
        noun: Name of the kind in a message.
        name: Path or name.

    Raises:
        Refusal: If there is no such folder; the message suggests the nearest name.
    """
    place = paths.runs_dir() / group
    for path in (Path(name), place / name):
        if kind(path).exists:
            return kind(path.resolve())
    known = [folder.path.name for folder in list_scheduled(kind, group)]
    close = nearest(str(name), known)
    hint = f"Did you mean {close!r}?" if close else f"The folder holds {len(known)}."
    raise Refusal(f"The {noun} must be in {place}, got {str(name)!r:.80}. {hint}")


def start_scheduler(module: str, folder: ScheduledDir, on: str | None = None) -> None:
    """Start a scheduler process that inherits the lock of its folder.

    The lock is taken before the start, so no second process can start in between.

    Args:
        module: Module to run; it takes the folder and `--lock`, see `drive`.
        folder: Folder of the work.
        on: Remote backends that train the runs, as `qtha_lab.runs.remote` names them; None selects
            this machine.

    Raises:
        Refusal: If a scheduler process is already running.
    """
    refuse_inner_links(folder.path, LEVELS)
    command = module_command(module, str(folder.path), *(("--on", on) if on else ()))
    lock = queue.hold(folder.lock, patience=5)
    if lock is None:
        raise Refusal(
            f"{folder.path.name} must have one scheduler process, got a second one. Stop the "
            "first one."
        )
    try:
        remove_file(folder.stop)
        with append_shared(folder.log) as output:
            start = None if locks.INHERITS else queue.hold(folder.start)
            scheduler = locks.start_holding(
                command,
                lock,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={"QTHA_LAB_LOG": "info", **os.environ, **FORKABLE},
            )
    finally:
        os.close(lock)
    threading.Thread(target=_wait_for, args=(scheduler, start), daemon=True).start()


def _wait_for(scheduler: subprocess.Popen, start: int | None) -> None:
    """Wait for a scheduler process, and release the lock of its start."""
    scheduler.wait()
    if start is not None:
        os.close(start)


class SchedulerArguments(NamedTuple):
    """Arguments of a scheduler process: its folder and its remote backends.

    None selects this machine.
    """

    path: Path
    on: str | None


def drive(
    description: str, arguments: list[str] | None, work: Callable[[SchedulerArguments], bool]
) -> int:
    """Run the work of a scheduler process while it holds the lock of its folder.

    An error is logged as one sentence.

    Args:
        description: Description of the program, for its help text.
        arguments: Command-line arguments; None selects those of the process.
        work: Returns True if all work has ended.

    Returns:
        The exit status: 0 if all work has ended.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--lock", type=int, help="inherited descriptor that holds the folder's lock"
    )
    parser.add_argument("--on", help="machines that train the runs")
    options = parser.parse_args(arguments)
    folder = ScheduledDir(options.folder)
    lock = queue.hold(folder.lock, patience=1) if options.lock is None else options.lock
    if lock is None:
        parser.exit(2, f"{folder.path} already has a scheduler process\n")
    os.set_inheritable(lock, False)
    try:
        queue.sign(lock, os.getpid())
        refuse_inner_links(folder.path, LEVELS)
        return 0 if work(SchedulerArguments(folder.path, options.on)) else 1
    except KeyboardInterrupt:
        log.info("stopped; another start goes on")
    except Exception as error:
        shown = disk.full(folder.path) if disk.is_full(error) else error
        log.error("%s", fault_log.fault_sentence(shown))
    return 1
