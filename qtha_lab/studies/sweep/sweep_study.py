"""Sweep as a study: trials of several methods with equal budgets.

The folder holds `sweep.yaml`, and the trials in `journal.log` (Optuna's). The file `origin.json` of
each run names its trial.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import statistics
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import remove_file
from qtha_lab.core.libraries import require_extra
from qtha_lab.experiment import Comparison
from qtha_lab.experiment.run_directory import queue
from qtha_lab.experiment.sweep import Sweep
from qtha_lab.runs.run import Run
from qtha_lab.studies.study import GOING, StageProgress, Study
from qtha_lab.studies.sweep.confirmation import TrialRecord, confirmation
from qtha_lab.studies.work import Work

if TYPE_CHECKING:
    import pandas

FIXED = {"model", "task", "task_options", "quantization", "seeds", "training", "objective"}


class SweepStudy(Study):
    """Trials of one sweep.

    Example:
        >>> sweep = Sweep(methods="lora,qtha", axes={"learning_rate": "1e-3..1e-1 log 3"})
        >>> study = launch(sweep)  # doctest: +SKIP
        >>> study.wait().best()["lora"].point  # doctest: +SKIP
        {'learning_rate': 0.01}
    """

    kind, describes = "sweep", Sweep
    remedy = "Name a new folder, or give its sweep more trials with extend."

    journal = property(lambda self: self.path / "journal.log")

    @property
    def sweep(self) -> Sweep:
        """Sweep as described in the folder."""
        return self.described

    def plan(self, work: Work) -> Generator[None, None, list[TrialRecord]]:
        """Run trials until all have ended or the user stopped the rest; return the records."""
        require_extra("sweep", "A sweep", "optuna")
        from qtha_lab.studies.sweep.scheduler import TrialScheduler

        scheduler = TrialScheduler(self, work)
        while not self.stop_file.exists() and scheduler.advance():
            yield
        return self.records()

    def nested_plan(self, work: Work) -> Generator[None, None, list[TrialRecord]]:
        """Run the trials within the work on another study, while no other process does."""
        while (lock := queue.hold(self.lock)) is None:
            yield
        with contextlib.ExitStack() as held:
            held.callback(os.close, lock)
            queue.sign(lock, os.getpid())
            remove_file(self.stop_file)
            return (yield from self.plan(work))

    @property
    def planned(self) -> int:
        """Number of planned trials of all methods."""
        sweep = self.described
        return sum(map(sweep.trials_of, sweep.methods))

    @property
    def has_ended(self) -> bool:
        """True if all planned trials have ended."""
        return sum(record.state != "running" for record in self.records()) >= self.planned

    @property
    def was_stopped(self) -> bool:
        """True if a user stopped the sweep, or the runs of its trials."""
        return self.stop_file.exists() or any(
            run.status().state == "stopped" for run in self.open_runs()
        )

    def stages(self) -> list[StageProgress]:
        """Return the progress of the trials."""
        ended = sum(record.state != "running" for record in self.records())
        return [StageProgress("trials", ended, self.planned)]

    def records(self) -> list[TrialRecord]:
        """Return all trials so far, method by method, from the journal."""
        if not self.journal.exists():
            return []
        require_extra("sweep", "A sweep", "optuna")
        from qtha_lab.studies.sweep.optuna_study import read_trials

        return read_trials(self.journal, self.described)

    def open_runs(self) -> list[Run]:
        """Return the runs of the trials that have not ended."""
        ids = [
            name for record in self.records() if record.state == "running" for name in record.runs
        ]
        return [Run(self.runs_dir / name) for name in ids]

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
        return confirmation(self.trusted, self.best(), n_seeds)

    def seconds_left(self, records: Iterable[TrialRecord]) -> float | None:
        """Estimate the remaining seconds from the duration of complete trials.

        Assumes that every slot is busy.

        Returns:
            Seconds, or None before the first complete trial. A running trial counts as not yet
            begun.
        """
        records, sweep = list(records), self.described
        seconds: dict[str, list[float]] = {}
        for record in records:
            if record.state == "complete":
                walls = (_wall_seconds(self.runs_dir / name) for name in record.runs)
                seconds.setdefault(record.method, []).append(sum(walls))
        if not seconds:
            return None
        usual = statistics.fmean(second for each in seconds.values() for second in each)
        left = 0.0
        for method in sweep.methods:
            label = method.label
            ended = sum(r.method == label and r.state != "running" for r in records)
            a_trial = statistics.fmean(seconds.get(label, [usual]))
            left += (sweep.trials_of(method) - ended) * a_trial
        return left / queue.n_slots(sweep.training.threads)

    def table(self) -> pandas.DataFrame:
        """Return a table with one row per trial.

        The columns are method, number, state, each axis, the objective and the ids of the runs.
        """
        import pandas

        objective, axes = self.sweep.objective, self.sweep.axes
        rows = [
            {"method": r.method, "trial": r.number, "state": r.state}
            | r.point
            | {objective: r.value, "runs": ",".join(r.runs)}
            for r in self.records()
        ]
        return pandas.DataFrame(
            rows, columns=["method", "trial", "state", *axes, objective, "runs"]
        )

    def resume(self, on: str | None = None) -> SweepStudy:
        """Continue a stopped or killed sweep, as `Study.resume` does."""
        if self.state == "finished":
            raise Refusal(
                f"Sweep {self.path.name} must be stopped or failed, got finished. Use extend for "
                "more trials."
            )
        return super().resume(on)

    def extend(self, on: str | None = None, **changes: Any) -> SweepStudy:
        """Add trials, methods or axis values to the sweep, and continue.

        Args:
            on: Remote backend that trains the runs from now on, by name; None is this machine.
            changes: New values of fields of the sweep, such as `trials=40`. Fields that ended
                trials depend on, such as `seeds`, cannot change.

        Raises:
            Refusal: If the sweep is running, or a change contradicts the trials so far.
        """
        if (state := self.state) in GOING:
            raise Refusal(f"Sweep {self.path.name} must not run, got {state}. Stop it first.")
        for name in FIXED & changes.keys():
            raise Refusal(
                f"{name} must be unchanged in a sweep with trials, got another value. Launch a "
                "new sweep."
            )
        sweep = self.trusted.replace(**changes)
        before = [method.meaning for method in self.sweep.methods]
        if [method.meaning for method in sweep.methods][: len(before)] != before:
            raise Refusal(
                "Methods of a sweep must keep their order, got another. Add new methods at the end."
            )
        sweep.check(self.runs_dir)
        self.write(sweep)
        return self.launch(on)


@functools.lru_cache(maxsize=4096)
def _wall_seconds(run: Path) -> float:
    """Return the wall-clock seconds of a finished run, with a cache."""
    return float((Run(run).summary or {}).get("wall_seconds") or 0.0)
