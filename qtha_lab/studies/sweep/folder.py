"""Directory layout of a sweep, and the selection of its runs.

A sweep under `sweeps` of a runs folder stores its runs in that folder, where every list of runs
shows them. A sweep in another directory has its runs in its own `runs`. The file `origin.json` of
each run names its trial.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder, read_mapping, write_atomically
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.plugins import record_trust, trusted
from qtha_lab.experiment.run_directory.scheduler_process import (
    ScheduledDir,
    find_scheduled,
    list_scheduled,
)
from qtha_lab.experiment.sweep import Sweep

log = logging.getLogger(__name__)

GROUP = "sweeps"


class SweepOrigin(NamedTuple):
    """Trial that a run belongs to: sweep name, method index, trial number and seed."""

    sweep: str
    method: int
    trial: int
    seed: int


@dataclass(frozen=True)
class SweepDir(ScheduledDir):
    """Directory of one sweep.

    Contains `sweep.yaml`, `journal.log` (Optuna's), `summary.json` and the files of the scheduler
    process.
    """

    description = property(lambda self: self.path / "sweep.yaml")
    journal = property(lambda self: self.path / "journal.log")
    summary = property(lambda self: self.path / "summary.json")

    @classmethod
    def create(cls, sweep: Sweep, path: Path | None = None) -> SweepDir:
        """Create the directory of a sweep and write its description.

        Args:
            sweep: Sweep to describe.
            path: Directory; None creates a new one, named by the time, under the default runs
                folder.

        Raises:
            Refusal: If the directory holds another sweep.
        """
        if path is None:
            name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
            path = paths.runs_dir() / GROUP / name
        folder = cls(path.resolve())
        if folder.exists and folder.sweep != sweep:
            raise Refusal(
                f"The folder must be new or hold this sweep, got {folder.path}. "
                "Name a new folder, or give its sweep more trials with extend."
            )
        make_folder(folder.path)
        folder.write(sweep)
        return folder

    def write(self, sweep: Sweep) -> None:
        """Write the description of the sweep, whose plugins this user thereby trusts."""
        record_trust(self.path, sweep)
        write_atomically(self.description, sweep.to_yaml())
        self.__dict__.pop("sweep", None)

    @property
    def exists(self) -> bool:
        """True if this is the directory of a sweep."""
        return self.description.is_file()

    @cached_property
    def sweep(self) -> Sweep:
        """Sweep as described in the directory."""
        return Sweep.from_yaml(self.description)

    @property
    def trusted(self) -> Sweep:
        """The sweep, or a refusal if this user does not trust its plugins."""
        return trusted(self.path, self.sweep)

    @property
    def runs_dir(self) -> Path:
        """Folder of the sweep's runs."""
        parent = self.path.parent
        return parent.parent if parent.name == GROUP else self.path / "runs"

    def runs(self) -> dict[SweepOrigin, RunDir]:
        """Return the runs by trial and seed.

        If a killed process left two runs of one trial and seed, the newest counts.
        """
        return {
            origin: run
            for run in sorted(_run_dirs(self.runs_dir), key=lambda run: run.path.name)
            if (origin := origin_of(run)) and origin.sweep == self.path.name
        }


def origin_of(run: RunDir) -> SweepOrigin | None:
    """Return the trial of a run; None for a run outside any sweep."""
    fields = read_mapping(run.origin)
    try:
        return None if fields is None else SweepOrigin(**fields)
    except TypeError as reason:
        log.debug("%s is of no sweep known here: %s", run.path, reason)
        return None


def find_sweep(name: str | Path) -> SweepDir:
    """Return the directory of a sweep by path, or by name in the runs folder.

    Raises:
        Refusal: If no such sweep exists; the message names the nearest.
    """
    return find_scheduled(SweepDir, GROUP, "sweep", name)


def list_sweeps() -> list[SweepDir]:
    """Return the sweeps in the default runs folder, newest first."""
    return list_scheduled(SweepDir, GROUP)


def _run_dirs(folder: Path) -> Iterator[RunDir]:
    if folder.is_dir():
        yield from (run for path in folder.iterdir() if (run := RunDir(path)).exists)
