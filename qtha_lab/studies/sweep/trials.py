"""View of a launched sweep, read from its directory, with stop, resume and extend.

The scheduler process is separate and continues without this view.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.libraries import require_extra
from qtha_lab.experiment import Comparison
from qtha_lab.experiment.run_directory import queue, scheduler_process
from qtha_lab.experiment.run_directory.plugins import trusted
from qtha_lab.experiment.sweep import Sweep
from qtha_lab.runs.run import Run
from qtha_lab.studies.sweep.confirmation import confirmation
from qtha_lab.studies.sweep.folder import SweepDir, find_sweep
from qtha_lab.studies.sweep.record import TrialRecord

if TYPE_CHECKING:
    import pandas


class Trials:
    """Trials of one sweep.

    Example:
        >>> sweep = Sweep(methods="lora,qtha", axes={"learning_rate": "1e-3..1e-1 log 3"})
        >>> trials = launch_sweep(sweep)  # doctest: +SKIP
        >>> trials.wait().best()["lora"].point  # doctest: +SKIP
        {'learning_rate': 0.01}
    """

    def __init__(self, path: Path) -> None:
        self.folder = SweepDir(Path(path).resolve())

    def __repr__(self) -> str:
        records = self.records()
        states = [record.state for record in records]
        counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
        return (
            f"<sweep {self.folder.path.name}: {self.state}; {len(records)} of {self.planned}"
            f" trials: {counts}>"
        )

    @property
    def sweep(self) -> Sweep:
        """Sweep as described in the directory."""
        return self.folder.sweep

    @property
    def planned(self) -> int:
        """Number of planned trials of all methods."""
        return sum(map(self.sweep.trials_of, self.sweep.methods))

    @property
    def state(self) -> str:
        """State: "running", "stopping", "finished", "stopped" by the user, or "dead"."""
        if self.folder.at_work:
            return "stopping" if self.folder.stop.exists() else "running"
        ended = sum(record.state != "running" for record in self.records())
        if ended >= self.planned:
            return "finished"
        stopped = self.folder.stop.exists() or any(
            run.status().state == "stopped" for run in self.open_runs()
        )
        return "stopped" if stopped else "dead"

    def records(self) -> list[TrialRecord]:
        """Return all trials so far, method by method, from the journal."""
        if not self.folder.journal.exists():
            return []
        require_extra("sweep", "A sweep", "optuna")
        from qtha_lab.studies.sweep.results import read_trials

        return read_trials(self.folder)

    def open_runs(self) -> list[Run]:
        """Return the runs of the trials that have not ended."""
        ids = [
            name for record in self.records() if record.state == "running" for name in record.runs
        ]
        return [Run(self.folder.runs_dir / name) for name in ids]

    def best(self, records: Iterable[TrialRecord] | None = None) -> dict[str, TrialRecord]:
        """Return the best complete trial of each method, by method label.

        `records` avoids a second read of the journal; None reads all trials.
        """
        sign = 1.0 if self.sweep.direction == "minimize" else -1.0
        best: dict[str, TrialRecord] = {}
        for record in self.records() if records is None else records:
            if record.state != "complete" or record.value is None or math.isinf(record.value):
                continue
            rival = best.get(record.method)
            if rival is None or sign * record.value < sign * (rival.value or 0.0):
                best[record.method] = record
        return best

    def confirmation(self, n_seeds: int = 3) -> Comparison:
        """Describe a comparison of each method's best trial, with seeds unused in trials.

        Raises:
            Refusal: As `qtha_lab.studies.sweep.confirmation.confirmation`.
        """
        return confirmation(self.folder.trusted, self.best(), n_seeds)

    def seconds_left(self, records: Iterable[TrialRecord]) -> float | None:
        """Estimate the remaining seconds from the duration of complete trials.

        Assumes that every slot is busy.

        Returns:
            Seconds, or None before the first complete trial. A running trial counts as not yet
            begun.
        """
        records = list(records)
        seconds: dict[str, list[float]] = {}
        for record in records:
            if record.state == "complete":
                walls = (_wall_seconds(self.folder.runs_dir / name) for name in record.runs)
                seconds.setdefault(record.method, []).append(sum(walls))
        if not seconds:
            return None
        usual = statistics.fmean(second for each in seconds.values() for second in each)
        left = 0.0
        for method in self.sweep.methods:
            label = method.label
            ended = sum(r.method == label and r.state != "running" for r in records)
            a_trial = statistics.fmean(seconds.get(label, [usual]))
            left += (self.sweep.trials_of(method) - ended) * a_trial
        return left / queue.n_slots(self.sweep.training.threads)

    def table(self) -> pandas.DataFrame:
        """Return a table with one row per trial.

        The columns are method, number, state, each axis, the objective and the ids of the runs.
        """
        import pandas

        rows = [
            {"method": r.method, "trial": r.number, "state": r.state}
            | r.point
            | {self.sweep.objective: r.value, "runs": ",".join(r.runs)}
            for r in self.records()
        ]
        columns = ["method", "trial", "state", *self.sweep.axes, self.sweep.objective, "runs"]
        return pandas.DataFrame(rows, columns=columns)

    def wait(self, timeout: float | None = None) -> Trials:
        """Wait until the scheduler process ends, or for `timeout` seconds."""
        self.folder.wait(timeout)
        return self

    def stop(self, timeout: float = 120.0) -> Trials:
        """Request a stop with all runs saved, and wait for the scheduler process."""
        self.folder.request_stop()
        return self.wait(timeout)

    def resume(self, on: str | None = None) -> Trials:
        """Continue a stopped or killed sweep; finished runs are not repeated.

        Args:
            on: Remote backend that trains the runs from now on, as for `launch`.

        Raises:
            Refusal: If the sweep is running, stopping or finished.
        """
        if (state := self.state) in ("running", "stopping", "finished"):
            more = " Use extend for more trials." if state == "finished" else ""
            raise Refusal(
                f"Sweep {self.folder.path.name} must be stopped or failed, got {state}.{more}"
            )
        trusted(self.folder.path, self.sweep)  # asks here, where a person may answer
        return start_sweep(self.folder, on)

    def extend(self, on: str | None = None, **changes: Any) -> Trials:
        """Add trials, methods or axis values to the sweep, and continue.

        Args:
            on: Remote backend that trains the runs from now on, as for `launch`.
            changes: New values of fields of the sweep, such as `trials=40`. Fields that ended
                trials depend on, such as `seeds`, cannot change.

        Raises:
            Refusal: If the sweep is running, or a change contradicts the trials so far.
        """
        if self.state in ("running", "stopping"):
            raise Refusal(
                f"Sweep {self.folder.path.name} must not run, got {self.state}. Stop it first."
            )
        fixed = {"model", "task", "task_options", "quantization", "seeds", "training", "objective"}
        for name in fixed & changes.keys():
            raise Refusal(
                f"{name} must be unchanged in a sweep with trials, got another value. Launch a "
                "new sweep."
            )
        sweep = self.folder.trusted.replace(**changes)
        before = [method.meaning for method in self.sweep.methods]
        if [method.meaning for method in sweep.methods][: len(before)] != before:
            raise Refusal(
                "Methods of a sweep must keep their order, got another. Add new methods at the end."
            )
        sweep.check(self.folder.runs_dir)
        self.folder.write(sweep)
        return start_sweep(self.folder, on)


@functools.lru_cache(maxsize=4096)
def _wall_seconds(run: Path) -> float:
    """Return the wall-clock seconds of a finished run, with a cache."""
    return float((Run(run).summary or {}).get("wall_seconds") or 0.0)


def launch_sweep(
    sweep: Sweep, path: Path | str | None = None, *, check: bool = True, on: str | None = None
) -> Trials:
    """Launch a sweep and return at once; continue if its directory exists.

    Args:
        sweep: Sweep to launch.
        path: Directory of the sweep; None creates one in the default runs folder.
        check: Validate the sweep first.
        on: Remote backend that trains the runs, by name; None is this machine.

    Raises:
        Refusal: If a trial cannot run, or the directory holds another sweep; no process is started
            then.
    """
    if check:
        sweep.check()
    folder = SweepDir.create(sweep, Path(path) if path else None)
    trials = Trials(folder.path)
    return trials if trials.state in ("running", "finished") else start_sweep(folder, on)


def attach_sweep(name: str | Path) -> Trials:
    """Return the trials of a sweep by name or path.

    Raises:
        Refusal: If no such sweep exists; the message names the nearest.
    """
    return Trials(find_sweep(name).path)


def start_sweep(folder: SweepDir, on: str | None = None) -> Trials:
    """Start the scheduler process of a sweep.

    Args:
        folder: Directory of the sweep.
        on: Remote backend that trains the runs; None is this machine.

    Raises:
        Refusal: If a scheduler process already runs for this sweep.
    """
    require_extra("sweep", "A sweep", "optuna")
    scheduler_process.start_scheduler("qtha_lab.studies.sweep.scheduler", folder, on)
    return Trials(folder.path)
