"""View of a staged comparison: trials, runs and 1-ulp perturbation runs.

The view reads the directory. The scheduler process is separate and continues without this view.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read_mapping, read_tail
from qtha_lab.experiment import Comparison
from qtha_lab.experiment.run_directory import scheduler_process
from qtha_lab.experiment.run_directory.plugins import trusted
from qtha_lab.runs.run import Run, list_runs
from qtha_lab.studies.comparison.folder import ComparisonDir, find_comparison
from qtha_lab.studies.comparison.run_set import RunSet
from qtha_lab.studies.comparison.tuned_methods import folder_of
from qtha_lab.studies.sweep import Trials

LOG_TAIL = 2**16  # bytes
log = logging.getLogger(__name__)


class StageProgress(NamedTuple):
    """Progress of one stage: ended and planned runs or trials."""

    name: str
    ended: int
    planned: int


class ScheduledRuns(RunSet):
    """Runs of a staged comparison, launched over time by its scheduler process.

    Args:
        path: Directory of the comparison.

    Example:
        >>> axes = {"learning_rate": [0.003, 0.01]}
        >>> tuned = Comparison(methods="lora,qtha", tuning={"axes": axes})
        >>> launch(tuned).wait().state  # doctest: +SKIP
        'finished'
    """

    def __init__(self, path: Path) -> None:
        self.folder = ComparisonDir(Path(path).resolve())

    def __repr__(self) -> str:
        return f"<comparison {self.folder.path.name}: {self.sentence()}>"

    @property
    def comparison(self) -> Comparison:
        """Comparison as described in the directory."""
        return self.folder.comparison

    @property
    def runs(self) -> Sequence[Run]:
        """Runs launched so far; empty before all tuning trials have ended.

        There is one run per (model, task) pair, method, learning rate and seed.
        """
        return self.folder.runs()

    @property
    def state(self) -> str:
        """State: "running", "stopping", "finished", "stopped" by the user, or "dead"."""
        if self.folder.at_work:
            return "stopping" if self.folder.stop.exists() else "running"
        if self.folder.has_ended:
            return "finished"
        return "stopped" if self.folder.stop.exists() else "dead"

    def trials(self) -> list[Trials]:
        """Return the trials of each contender that have begun."""
        comparison, path = self.comparison, self.folder.path
        if comparison.tuning is None:
            return []
        trusted(path, comparison)
        views = [
            Trials(folder_of(comparison, contender, path)) for contender in comparison.contenders()
        ]
        return [view for view in views if view.folder.exists]

    def stages(self) -> list[StageProgress]:
        """Return the progress of trials, runs and 1-ulp perturbation runs."""
        trials, runs, moved = self._planned
        stages = [StageProgress("runs", _ended(self.runs), runs)]
        if trials:
            records = [record for view in self.trials() for record in view.records()]
            ended = sum(record.state != "running" for record in records)
            stages.insert(0, StageProgress("trials", min(ended, trials), trials))
        if moved:
            stages.append(
                StageProgress(
                    "rounding repeats", _ended(list_runs(self.folder.perturbed_dir)), moved
                )
            )
        return stages

    @functools.cached_property
    def _planned(self) -> tuple[int, int, int]:
        """Planned numbers of trials, runs and 1-ulp perturbation runs."""
        comparison = self.folder.trusted
        contenders = comparison.contenders()
        sweeps = [comparison.sweep_of(contender) for contender in contenders if comparison.tuning]
        trials = sum(sweep.trials_of(method) for sweep in sweeps for method in sweep.methods)
        experiments = comparison.experiments(contenders)
        return trials, len(experiments), len(comparison.perturbed(experiments))

    def sentence(self) -> str:
        """Describe state and progress of each stage, and the reason of a failure."""
        parts = [self.state, *(f"{s.ended} of {s.planned} {s.name}" for s in self.stages())]
        if self.state == "dead":
            parts.append(self.why() or "its scheduler process ended early")
        return " · ".join(parts)

    def why(self) -> str:
        """Return the last log line of the scheduler process; "" without a log."""
        try:
            lines = read_tail(self.folder.log, LOG_TAIL).decode(errors="replace").splitlines()
        except (OSError, Refusal) as reason:
            log.debug("%s cannot be read: %s", self.folder.log, reason)
            return ""
        return lines[-1] if lines else ""

    def wait(self, timeout: float | None = None) -> ScheduledRuns:
        """Wait until the scheduler process ends, or for `timeout` seconds."""
        self.folder.wait(timeout)
        return self

    def stop(self) -> ScheduledRuns:
        """Request a stop with all runs saved, and wait for the scheduler process."""
        self.folder.request_stop()
        return self.wait()

    def resume(self) -> ScheduledRuns:
        """Continue a stopped or killed comparison; finished runs are not repeated.

        Raises:
            Refusal: If the comparison is running, stopping or finished.
        """
        if (state := self.state) in ("running", "stopping", "finished"):
            raise Refusal(
                f"Comparison {self.folder.path.name} must be stopped or failed, got {state}."
            )
        trusted(self.folder.path, self.comparison)  # asks here, where a person may answer
        return start_comparison(self.folder)

    def summary(self) -> dict[str, Any]:
        """Return the summary that the scheduler process writes as runs end.

        Raises:
            Refusal: If no run has ended.
        """
        if (summary := read_mapping(self.folder.summary)) is None:
            raise Refusal(
                f"Comparison {self.folder.path.name} has no ended run ({self.sentence()})."
            )
        return summary


def start_comparison(folder: ComparisonDir) -> ScheduledRuns:
    """Start the scheduler process of a comparison described in its directory.

    Raises:
        Refusal: If a scheduler process already runs for this comparison.
    """
    scheduler_process.start_scheduler("qtha_lab.studies.comparison.scheduler", folder)
    return ScheduledRuns(folder.path)


def attach_comparison(name: str | Path) -> ScheduledRuns:
    """Return the runs of a comparison by name or path.

    Raises:
        Refusal: If no such comparison exists; the message names the nearest.
    """
    return ScheduledRuns(find_comparison(name).path)


def _ended(runs: Sequence[Run]) -> int:
    return sum(run.status().ended for run in runs)
