"""Scheduler process of a sweep: `python -m qtha_lab.studies.sweep.scheduler SWEEP_DIR`.

Keeps every slot busy: takes points from the studies, launches and monitors their runs, prunes
trials and records results. After a kill, a new process continues: the journal holds the trials,
and each run names its trial.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import time
from dataclasses import dataclass, field
from statistics import fmean
from types import FrameType
from typing import Any

from optuna.trial import Trial

from qtha_lab.experiment.run_directory import queue, scheduler_process
from qtha_lab.runs.process_start import FORKS, end_scheduler
from qtha_lab.runs.remote import RemoteBackend, remote_backend_named
from qtha_lab.runs.run import Run, Status, launch
from qtha_lab.studies.sweep.folder import SweepDir, SweepOrigin
from qtha_lab.studies.sweep.study import MethodStudy, open_journal

POLL_SECONDS = 0.3
MOST_RESUMES = 2
REMOTE_JOBS = 32  # simultaneous runs on a remote backend, which queues them
log = logging.getLogger(__name__)


@dataclass
class _Going:
    """Trial with runs that have not all ended."""

    study: MethodStudy
    trial: Trial
    runs: list[Run]
    reported: int = 0  # last step with an objective reported to the study
    resumes: int = 0
    offsets: dict[str, int] = field(default_factory=dict)
    curves: dict[str, dict[int, float]] = field(default_factory=dict)


class Scheduler:
    """Scheduler of the trials of one sweep.

    Args:
        folder: Directory of the sweep.
        backend: Remote backend that trains the runs; None is this machine.
    """

    def __init__(self, folder: SweepDir, backend: RemoteBackend | None = None) -> None:
        self.folder, self.sweep, self.backend = folder, folder.trusted, backend
        threads = self.sweep.training.threads
        self.at_once = REMOTE_JOBS if backend else queue.n_slots(threads)
        journal = open_journal(folder.journal)
        self.studies = [MethodStudy(self.sweep, n, journal) for n in range(len(self.sweep.methods))]
        self.going: list[_Going] = []
        self.stop_requested = False
        self._adopt()

    def drive(self) -> bool:
        """Run trials until all have ended or a stop is requested.

        Returns True if all trials have ended.
        """
        while not self._stop():
            for trial in list(self.going):
                self._follow(trial)
            self._begin_more()
            if not self.going and not any(study.remaining() for study in self.studies):
                return True
            if self.going and all(self._waits_for_a_person(trial) for trial in self.going):
                log.info("all that is left was stopped by hand")
                return False
            time.sleep(POLL_SECONDS)
        for run in [run for trial in self.going for run in trial.runs]:
            run.request_stop()
        if self.backend:
            self.backend.close()
        for run in [run for trial in self.going for run in trial.runs]:
            run.stop()
        return False

    def _stop(self) -> bool:
        return self.stop_requested or self.folder.stop.exists()

    def _adopt(self) -> None:
        """Adopt the unfinished trials of an earlier process, and resume their runs."""
        known = self.folder.runs()
        for study in self.studies:
            for trial in study.open_trials():
                log.info("going on with trial %d of %s", trial.number, study.method.label)
                going = self._launched(study, trial, known)
                self.going.append(going)
                for run in going.runs:
                    if run.status().state in ("stopped", "dead", "failed"):
                        run.resume(on=self.backend)

    def _begin_more(self) -> None:
        """Begin trials while a slot is free, for the method with fewest trials."""
        while self._busy() < self.at_once and not self._stop():
            waiting = [study for study in self.studies if study.remaining()]
            if not waiting:
                return
            study = min(waiting, key=lambda s: (len(s.trials()), s.number))
            trial = study.ask()
            log.info("trial %d of %s at %s", trial.number, study.method.label, trial.params)
            self.going.append(self._launched(study, trial, {}))

    def _busy(self) -> int:
        return sum(not run.status().ended for trial in self.going for run in trial.runs)

    def _launched(self, study: MethodStudy, trial: Trial, known: dict[SweepOrigin, Any]) -> _Going:
        """Return a trial with its runs; launch the missing ones."""
        launched = []
        for experiment in self.sweep.experiments_at(study.method, study.point(trial)):
            origin = SweepOrigin(self.folder.path.name, study.number, trial.number, experiment.seed)
            run = known.get(origin)
            launched.append(
                launch(
                    experiment,
                    self.folder.runs_dir,
                    check=False,
                    origin=origin._asdict(),
                    on=self.backend,
                )
                if run is None
                else Run(run.path)
            )
        trial.set_user_attr("runs", [run.id for run in launched])
        return _Going(study, trial, launched)

    def _follow(self, going: _Going) -> None:
        """End a trial when its runs have ended or the pruner stops it."""
        states = [run.status() for run in going.runs]
        if going.study.sweep.pruner != "none" and self._prune(going):
            for run in going.runs:
                run.request_stop()
            going.study.record_pruned(going.trial)
            self.going.remove(going)
        elif all(status.state in ("finished", "diverged") for status in states):
            going.study.tell(going.trial, self._objective(going, states))
            self.going.remove(going)
        elif all(status.ended for status in states):
            self._mend(going, states)

    def _mend(self, going: _Going, states: list[Status]) -> None:
        """Resume a dead or failed run; end the trial after repeated failures."""
        broken = [
            (run, status)
            for run, status in zip(going.runs, states, strict=True)
            if status.state in ("dead", "failed", "unreadable")
        ]
        if not broken:  # stopped by the user, who may resume it
            return
        run, status = broken[0]
        if status.state == "unreadable" or going.resumes == MOST_RESUMES:
            log.warning("%s: %s", run.id, status.message)
            going.study.record_failure(going.trial, f"{run.id}: {status.message}")
            self.going.remove(going)
            return
        if (now := run.status().state) != status.state:  # its state changed meanwhile
            log.info("%s was %s and is %s", run.id, status.state, now)
            return
        going.resumes += 1
        log.warning("%s is %s: resumed", run.id, status.state)
        run.resume(on=self.backend)

    def _waits_for_a_person(self, going: _Going) -> bool:
        states = [run.status().state for run in going.runs]
        return "stopped" in states and all(
            state in ("stopped", "finished", "diverged") for state in states
        )

    def _objective(self, going: _Going, states: list[Status]) -> float:
        """Return the mean objective over the seeds; NaN if a run diverged."""
        values = [
            (run.summary or {}).get(self.sweep.objective) if status.state == "finished" else None
            for run, status in zip(going.runs, states, strict=True)
        ]
        return fmean(float("nan") if value is None else value for value in values)

    def _prune(self, going: _Going) -> bool:
        """Report evaluations shared by all seeds; return True if the pruner stops the trial."""
        for run in going.runs:
            events, going.offsets[run.id] = run.events(going.offsets.get(run.id, 0))
            curve = going.curves.setdefault(run.id, {})
            for event in events:
                value = event.get(
                    self.sweep.objective if self.sweep.objective != "eval_loss" else "loss"
                )
                if event["kind"] == "eval" and event["step"] and isinstance(value, int | float):
                    curve[event["step"]] = value
        shared = set.intersection(*(set(going.curves[run.id]) for run in going.runs))
        new = sorted(step for step in shared if step > going.reported)
        if not new:
            return False
        going.reported = new[-1]
        means = {step: fmean(going.curves[run.id][step] for run in going.runs) for step in new}
        return going.study.report(going.trial, means)


def main(arguments: list[str] | None = None) -> int:
    """Run the scheduler of one sweep; return 0 if every trial has ended."""
    return scheduler_process.drive("Drive one sweep.", arguments, _drive)


def _drive(order: scheduler_process.SchedulerArguments) -> bool:
    with contextlib.ExitStack() as held:
        backend = None
        if order.on:
            backend = held.enter_context(contextlib.closing(remote_backend_named(order.on)))
        scheduler = Scheduler(SweepDir(order.path), backend)

        def on_signal(number: int, frame: FrameType | None) -> None:
            scheduler.stop_requested = True

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, on_signal)
        return scheduler.drive()


if __name__ == "__main__":
    FORKS.enable()
    end_scheduler(main())
