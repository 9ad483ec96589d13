"""The files of a sweep's directory, and which runs are its own.

A sweep under the `sweeps` of a runs folder has its runs in that folder, where every list of runs shows them; one
that a person puts elsewhere holds them itself, in `runs`. Each run says in `origin.json` whose trial it is.
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
from qtha_lab.core.io import read_mapping
from qtha_lab.experiment import editions
from qtha_lab.experiment.run_directory import RunDir, write_atomically
from qtha_lab.experiment.run_directory.scheduler_process import (
    ScheduledDir,
    find_scheduled,
    list_scheduled,
)
from qtha_lab.experiment.sweep import Sweep

log = logging.getLogger(__name__)

GROUP = "sweeps"


class Origin(NamedTuple):
    """Which trial of a sweep a run belongs to: the method's place in the list, the trial's number, the seed."""

    sweep: str
    method: int
    trial: int
    seed: int


@dataclass(frozen=True)
class SweepDir(ScheduledDir):
    """One sweep's directory: `sweep.yaml`, `journal.log` (Optuna's), `summary.json`, and what its driver leaves."""

    description = property(lambda self: self.path / "sweep.yaml")
    journal = property(lambda self: self.path / "journal.log")
    summary = property(lambda self: self.path / "summary.json")

    @classmethod
    def create(cls, sweep: Sweep, path: Path | None = None) -> SweepDir:
        """Make the directory of a sweep and describe it there.

        Args:
            sweep: What is to be tried.
            path: Where; None makes a new one, named by its time, under the usual runs folder.

        Raises:
            Refusal: If there is another sweep.
        """
        if path is None:
            name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
            path = paths.runs_dir() / GROUP / name
        folder = cls(path.resolve())
        if folder.exists and folder.sweep != sweep:
            raise Refusal(
                f"{folder.path} holds another sweep: name a new folder, or give its sweep more trials with extend"
            )
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.write(sweep)
        return folder

    def write(self, sweep: Sweep) -> None:
        """Describe the sweep anew."""
        write_atomically(self.description, editions.record(sweep))
        self.__dict__.pop("sweep", None)

    @property
    def exists(self) -> bool:
        """Whether this is the directory of a sweep."""
        return self.description.is_file()

    @cached_property
    def sweep(self) -> Sweep:
        """The sweep as it is described here."""
        return Sweep.from_yaml(self.description)

    @property
    def runs_dir(self) -> Path:
        """The folder of its runs."""
        parent = self.path.parent
        return parent.parent if parent.name == GROUP else self.path / "runs"

    def runs(self) -> dict[Origin, RunDir]:
        """Its runs, by the trial and seed that each is of; the newest where a kill led to two."""
        return {
            origin: run
            for run in sorted(_run_dirs(self.runs_dir), key=lambda run: run.path.name)
            if (origin := origin_of(run)) and origin.sweep == self.path.name
        }


def origin_of(run: RunDir) -> Origin | None:
    """Which trial a run is of; None where it was launched by itself."""
    fields = read_mapping(run.origin)
    try:
        return None if fields is None else Origin(**fields)
    except TypeError as reason:
        log.debug("%s is of no sweep known here: %s", run.path, reason)
        return None


def find_sweep(name: str | Path) -> SweepDir:
    """The directory of a sweep, by its path or its name under the usual runs folder.

    Raises:
        Refusal: If there is none; names the nearest.
    """
    return find_scheduled(SweepDir, GROUP, "sweep", name)


def list_sweeps() -> list[SweepDir]:
    """The sweeps under the usual runs folder, newest first."""
    return list_scheduled(SweepDir, GROUP)


def _run_dirs(folder: Path) -> Iterator[RunDir]:
    if folder.is_dir():
        yield from (run for path in folder.iterdir() if (run := RunDir(path)).exists)
