"""The files of a comparison's directory, and which runs are its own.

A comparison under the `comparisons` of a runs folder has its runs in that folder, under its name,
where every list of runs shows them; one that a person puts elsewhere holds them itself, in `runs`.
Trials and moved starts lie beside it.
"""

from __future__ import annotations

import logging
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from qtha_lab.core import paths
from qtha_lab.core.io import digest, read_mapping
from qtha_lab.experiment import Comparison, Experiment, editions
from qtha_lab.experiment.run_directory import write_atomically, write_json
from qtha_lab.experiment.run_directory.scheduler_process import (
    ScheduledDir,
    find_scheduled,
    list_scheduled,
)
from qtha_lab.runs import run as runs
from qtha_lab.runs.run import Run

log = logging.getLogger(__name__)

GROUP = "comparisons"


@dataclass(frozen=True)
class ComparisonDir(ScheduledDir):
    """One comparison's directory: `comparison.yaml`, `lineup.json`, `tuning/`, `rounding/`, `summary.json`, the report, and
    what its driver leaves.
    """

    description = property(lambda self: self.path / "comparison.yaml")
    summary = property(lambda self: self.path / "summary.json")
    moved_starts = property(lambda self: self.path / "rounding")
    page = property(lambda self: self.path / "report.html")
    end = property(lambda self: self.path / "end.json")

    @classmethod
    def create(cls, comparison: Comparison, runs_dir: Path | None = None) -> ComparisonDir:
        """A new directory, named by its time, with the comparison described in it.

        Args:
            comparison: What is to be run.
            runs_dir: The folder of run directories; None is the usual one.
        """
        name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
        folder = cls(((runs_dir or paths.runs_dir()) / GROUP / name).resolve())
        folder.path.mkdir(parents=True)
        folder.write(comparison)
        return folder

    def write(self, comparison: Comparison) -> None:
        """Describe the comparison."""
        write_atomically(self.description, editions.record(comparison))

    @property
    def exists(self) -> bool:
        """Whether this is the directory of a comparison."""
        return self.description.is_file()

    @property
    def comparison(self) -> Comparison:
        """The comparison as it is described here."""
        return Comparison.from_yaml(self.description)

    @property
    def is_shared(self) -> bool:
        """Whether its runs lie among those of others."""
        return self.path.resolve().parent.name == GROUP

    @property
    def runs_dir(self) -> Path:
        """The folder of its runs."""
        return self.path.resolve().parent.parent if self.is_shared else self.path / "runs"

    def named(self, experiments: list[Experiment]) -> list[Experiment]:
        """Experiments under the comparison's name where their runs lie among others."""
        return (
            [e.replace(name=self.path.name) for e in experiments] if self.is_shared else experiments
        )

    def runs(self) -> list[Run]:
        """Its runs so far, oldest first."""
        there = runs.list_runs(self.runs_dir)[::-1]
        return (
            [run for run in there if run.experiment.name == self.path.name]
            if self.is_shared
            else there
        )

    def mark_finished(self) -> None:
        """Note that all that is described here has been run."""
        write_json(self.end, {"of": self._digest()})

    @property
    def has_ended(self) -> bool:
        """Whether all that is described here now has been run."""
        return (read_mapping(self.end) or {}).get("of") == self._digest()

    def _digest(self) -> str:
        return digest(self.description)


def find_comparison(name: str | Path) -> ComparisonDir:
    """The directory of a comparison, by its path or its name under the usual runs folder.

    Raises:
        Refusal: If there is none; names the nearest.
    """
    return find_scheduled(ComparisonDir, GROUP, "comparison", name)


def list_comparisons() -> list[ComparisonDir]:
    """The comparisons under the usual runs folder, newest first."""
    return list_scheduled(ComparisonDir, GROUP)
