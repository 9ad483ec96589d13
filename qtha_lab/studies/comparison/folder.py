"""Directory layout of a comparison, and the selection of its runs.

A comparison under `comparisons` of a runs folder stores its runs in that folder, under its name,
where every list of runs shows them. A comparison in another directory has its runs in its own
`runs`. Tuning trials and 1-ulp perturbation runs are in its own directory.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtha_lab.core import paths
from qtha_lab.core.io import digest, make_folder, read_mapping, write_atomically, write_json
from qtha_lab.experiment import Comparison, Experiment
from qtha_lab.experiment.run_directory.plugins import record_trust, trusted
from qtha_lab.experiment.run_directory.scheduler_process import (
    ScheduledDir,
    find_scheduled,
    list_scheduled,
)
from qtha_lab.runs import run
from qtha_lab.runs.run import Run

GROUP = "comparisons"
EARLIER_TRIAL_SEEDS = [1000]  # of folders that do not state them, written before 0.4.0


@dataclass(frozen=True)
class ComparisonDir(ScheduledDir):
    """Directory of one comparison.

    Contains `comparison.yaml`, the contenders' seconds per step, `tuning/`, `rounding/`,
    `summary.json`, the report and the files of the scheduler process.
    """

    description = property(lambda self: self.path / "comparison.yaml")
    summary = property(lambda self: self.path / "summary.json")
    perturbed_dir = property(lambda self: self.path / "rounding")
    page = property(lambda self: self.path / "report.html")
    end = property(lambda self: self.path / "end.json")

    @classmethod
    def create(cls, comparison: Comparison, runs_dir: Path | None = None) -> ComparisonDir:
        """Create a directory, named by the time, with the comparison's description.

        Args:
            comparison: Comparison to describe.
            runs_dir: Folder of run directories; None is the default.
        """
        name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
        folder = cls(((runs_dir or paths.runs_dir()) / GROUP / name).resolve())
        make_folder(folder.path, exist_ok=False)
        folder.write(comparison)
        return folder

    def write(self, comparison: Comparison) -> None:
        """Write the description of the comparison, whose plugins this user thereby trusts."""
        record_trust(self.path, comparison)
        write_atomically(self.description, comparison.to_yaml())

    @property
    def exists(self) -> bool:
        """True if this is the directory of a comparison."""
        return self.description.is_file()

    @property
    def comparison(self) -> Comparison:
        """Comparison as described in the directory."""
        return described(self.description)

    @property
    def trusted(self) -> Comparison:
        """The comparison, or a refusal if this user does not trust its plugins."""
        return trusted(self.path, self.comparison)

    @property
    def is_shared(self) -> bool:
        """True if the comparison stores its runs in the shared runs folder."""
        return self.path.resolve().parent.name == GROUP

    @property
    def runs_dir(self) -> Path:
        """Folder of the comparison's runs."""
        return self.path.resolve().parent.parent if self.is_shared else self.path / "runs"

    def named(self, experiments: list[Experiment]) -> list[Experiment]:
        """Return experiments with the comparison's name if the runs folder is shared."""
        return (
            [e.replace(name=self.path.name) for e in experiments] if self.is_shared else experiments
        )

    def runs(self) -> list[Run]:
        """Return the comparison's runs so far, oldest first."""
        there = run.list_runs(self.runs_dir)[::-1]
        return (
            [run for run in there if run.experiment.name == self.path.name]
            if self.is_shared
            else there
        )

    def contender_records(self) -> list[dict[str, Any]]:
        """Return the tuned contenders of the summary with losses by trial seed.

        Records of another form, as of damaged or earlier summaries, are omitted.
        """
        records = (read_mapping(self.summary) or {}).get("contenders")
        return [
            record for record in (records if isinstance(records, list) else []) if _is_tuned(record)
        ]

    def mark_finished(self) -> None:
        """Record that everything in the description has been run."""
        write_json(self.end, {"of": self._digest()})

    @property
    def has_ended(self) -> bool:
        """True if everything in the present description has been run."""
        return (read_mapping(self.end) or {}).get("of") == self._digest()

    def _digest(self) -> str:
        return digest(self.description)


def _is_tuned(record: Any) -> bool:
    """Return True if a contender's record has its point and losses by seed."""
    if not isinstance(record, dict):
        return False
    texts = [record.get(name) for name in ("model", "task", "declared", "method")]
    dicts = [record.get(name) for name in ("task_options", "point", "tried")]
    if not all(isinstance(each, str) for each in texts):
        return False
    return all(isinstance(each, dict) for each in dicts) and all(
        isinstance(losses, list) and all(isinstance(loss, int | float) for loss in losses)
        for losses in record["tried"].values()
    )


def comparison_of(run: Run) -> ComparisonDir | None:
    """Return the directory of the comparison that a run is part of; None without one."""
    runs_dir = run.path.parent
    for place in (runs_dir / GROUP / run.experiment.name, runs_dir.parent):
        folder = ComparisonDir(place)
        if folder.exists and folder.runs_dir == runs_dir.resolve():
            return folder
    return None


def described(file: Path) -> Comparison:
    """Read the `comparison.yaml` of a folder; an earlier one may lack the trial seeds."""
    comparison = Comparison.from_yaml(file)
    tuning = comparison.tuning
    if tuning is None or "seeds" in tuning.model_fields_set:
        return comparison
    return comparison.replace(tuning=tuning.replace(seeds=EARLIER_TRIAL_SEEDS))


def find_comparison(name: str | Path) -> ComparisonDir:
    """Return the directory of a comparison by path, or by name in the runs folder.

    Raises:
        Refusal: If no such comparison exists; the message names the nearest.
    """
    return find_scheduled(ComparisonDir, GROUP, "comparison", name)


def list_comparisons() -> list[ComparisonDir]:
    """Return the comparisons in the default runs folder, newest first."""
    return list_scheduled(ComparisonDir, GROUP)
