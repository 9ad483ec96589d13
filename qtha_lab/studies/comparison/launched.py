"""A comparison in stages that was launched: trials first, then runs, then moved starts, as its directory tells it.

The driver is a process of its own and goes on if this view is forgotten.
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
from qtha_lab.experiment.run_directory import scheduler_process as drivers
from qtha_lab.runs.run import Run, list_runs
from qtha_lab.studies.comparison.folder import ComparisonDir, find_comparison
from qtha_lab.studies.comparison.run_set import RunSet
from qtha_lab.studies.comparison.tuned_methods import folder_of
from qtha_lab.studies.sweep import Trials

LOG_TAIL = 2**16  # bytes
log = logging.getLogger(__name__)


class Stage(NamedTuple):
    """How much of one stage has ended."""

    name: str
    ended: int
    planned: int


class ScheduledRuns(RunSet):
    """The runs of a comparison whose driver starts them: there are more of them as it goes on.

    Args:
        path: The directory of the comparison.

    Example:
        >>> tuned = Comparison(methods="lora,qtha", tuning={"axes": {"learning_rate": [0.003, 0.01]}})
        >>> launch(tuned).wait().state  # doctest: +SKIP
        'finished'
    """

    def __init__(self, path: Path) -> None:
        self.folder = ComparisonDir(Path(path).resolve())

    def __repr__(self) -> str:
        return f"<comparison {self.folder.path.name}: {self.sentence()}>"

    @property
    def comparison(self) -> Comparison:
        """What was launched."""
        return self.folder.comparison

    @property
    def runs(self) -> Sequence[Run]:
        """One for every cell, method, rate and seed that has been started; none before the trials have ended."""
        return self.folder.runs()

    @property
    def state(self) -> str:
        """ "running", "stopping", "finished", "stopped" where a person stopped it, else "dead"."""
        if self.folder.at_work:
            return "stopping" if self.folder.stop.exists() else "running"
        if self.folder.has_ended:
            return "finished"
        return "stopped" if self.folder.stop.exists() else "dead"

    def trials(self) -> list[Trials]:
        """The trials of each method in each cell that have been begun."""
        comparison, path = self.comparison, self.folder.path
        if comparison.tuning is None:
            return []
        views = [
            Trials(folder_of(comparison, contender, path)) for contender in comparison.contenders()
        ]
        return [view for view in views if view.folder.exists]

    def stages(self) -> list[Stage]:
        """How much of the trials, the runs and the moved starts has ended, of those that there are to be."""
        trials, runs, moved = self._planned
        stages = [Stage("runs", _ended(self.runs), runs)]
        if trials:
            records = [record for view in self.trials() for record in view.records()]
            ended = sum(record.state != "running" for record in records)
            stages.insert(0, Stage("trials", min(ended, trials), trials))
        if moved:
            stages.append(Stage("moved starts", _ended(list_runs(self.folder.moved_starts)), moved))
        return stages

    @functools.cached_property
    def _planned(self) -> tuple[int, int, int]:
        """How many trials, runs and moved starts there are to be."""
        comparison = self.comparison
        contenders = comparison.contenders()
        sweeps = [comparison.sweep_of(contender) for contender in contenders if comparison.tuning]
        trials = sum(sweep.trials_of(method) for sweep in sweeps for method in sweep.methods)
        experiments = comparison.experiments(contenders)
        return trials, len(experiments), len(comparison.nudged(experiments))

    def sentence(self) -> str:
        """How it stands: its state, what has ended of each stage, and why where it broke off."""
        parts = [self.state, *(f"{s.ended} of {s.planned} {s.name}" for s in self.stages())]
        if self.state == "dead":
            parts.append(self.why() or "its driver has ended before its time")
        return " · ".join(parts)

    def why(self) -> str:
        """What the driver said last; empty if nothing."""
        try:
            lines = read_tail(self.folder.log, LOG_TAIL).decode(errors="replace").splitlines()
        except (OSError, Refusal) as reason:
            log.debug("%s cannot be read: %s", self.folder.log, reason)
            return ""
        return lines[-1] if lines else ""

    def wait(self, timeout: float | None = None) -> ScheduledRuns:
        """Wait until the driver has ended, or for `timeout` seconds."""
        self.folder.wait(timeout)
        return self

    def stop(self) -> ScheduledRuns:
        """Ask the driver to stop with all runs saved, and wait until it has."""
        self.folder.stop.touch()
        return self.wait()

    def resume(self) -> ScheduledRuns:
        """Go on where it was stopped or killed; nothing finished is repeated.

        Raises:
            Refusal: If it is running, or has finished.
        """
        if (state := self.state) in ("running", "stopping", "finished"):
            raise Refusal(f"comparison {self.folder.path.name} is {state}")
        return start(self.folder)

    def summary(self) -> dict[str, Any]:
        """As the driver writes it after each run that ends.

        Raises:
            Refusal: If no run has ended yet.
        """
        if (summary := read_mapping(self.folder.summary)) is None:
            raise Refusal(
                f"comparison {self.folder.path.name}: no run has ended yet ({self.sentence()})"
            )
        return summary


def start(folder: ComparisonDir) -> ScheduledRuns:
    """Start the driver of a comparison that is described in its directory.

    Raises:
        Refusal: If a driver is at it.
    """
    drivers.start("qtha_lab.studies.comparison.scheduler", folder)
    return ScheduledRuns(folder.path)


def attach(name: str | Path) -> ScheduledRuns:
    """The comparison of a name under the usual runs folder, or of a path.

    Raises:
        Refusal: If there is none; names the nearest.
    """
    return ScheduledRuns(find_comparison(name).path)


def _ended(runs: Sequence[Run]) -> int:
    return sum(run.status().ended for run in runs)
