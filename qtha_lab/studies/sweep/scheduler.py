"""Trials of a sweep in one process: points from Optuna, runs, results, pruning.

After a kill, a new process continues: the journal holds the trials, and each run names its trial.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from optuna.trial import Trial

from qtha_lab.runs.run import Run, Status
from qtha_lab.studies.sweep.optuna_study import MethodStudy, open_journal
from qtha_lab.studies.work import Work

if TYPE_CHECKING:
    from qtha_lab.studies.sweep.sweep_study import SweepStudy

MOST_RESUMES = 2
log = logging.getLogger(__name__)


class SweepOrigin(NamedTuple):
    """Trial that a run belongs to: sweep name, method index, trial number and seed."""

    sweep: str
    method: int
    trial: int
    seed: int


def origin_of(run: Run) -> SweepOrigin | None:
    """Return the trial of a run; None for a run outside any sweep."""
    try:
        return SweepOrigin(**run.record.origin) if run.record.origin else None
    except TypeError as reason:
        log.debug("%s is of no sweep known here: %s", run.path, reason)
        return None


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


class TrialScheduler:
    """Scheduler of the trials of one sweep.

    Args:
        folder: Study of the sweep.
        work: Work of this process.
    """

    def __init__(self, folder: SweepStudy, work: Work) -> None:
        self.folder, self.sweep, self.work = folder, folder.trusted, work
        journal = open_journal(folder.journal)
        self.studies = [MethodStudy(self.sweep, n, journal) for n in range(len(self.sweep.methods))]
        self.going: list[_Going] = []
        self._adopt()

    def advance(self) -> bool:
        """Record the results of ended runs, and begin trials in free slots.

        Returns False once all trials have ended, or the user stopped the rest.
        """
        for trial in list(self.going):
            self._follow(trial)
        self._begin_more()
        if self.going and all(self._waits_for_a_person(trial) for trial in self.going):
            log.info("all that is left was stopped by hand")
            return False
        return bool(self.going) or any(study.remaining() for study in self.studies)

    def _adopt(self) -> None:
        """Adopt the unfinished trials of an earlier process, and resume their runs."""
        known = _by_origin(self.folder)
        for study in self.studies:
            for trial in study.open_trials():
                log.info("going on with trial %d of %s", trial.number, study.method.label)
                going = self._launched(study, trial, known)
                self.going.append(going)
                states = ((run, self.work.statuses[run.path].state) for run in going.runs)
                self.work.resume(run for run, s in states if s in ("stopped", "dead", "failed"))

    def _begin_more(self) -> None:
        """Begin trials while a slot is free, for the method with fewest trials.

        Trials of a grid depend on no other trial, so one more waits for the next free slot.
        """
        ahead = int(self.sweep.search == "grid")
        while self.work.free(self.sweep.training.threads) + ahead > 0:
            waiting = [study for study in self.studies if study.remaining()]
            if not waiting:
                return
            study = min(waiting, key=lambda s: (len(s.trials()), s.number))
            trial = study.ask()
            log.info("trial %d of %s at %s", trial.number, study.method.label, trial.params)
            self.going.append(self._launched(study, trial, {}))

    def _launched(
        self, study: MethodStudy, trial: Trial, known: Mapping[SweepOrigin, Run]
    ) -> _Going:
        """Return a trial with its runs; launch the missing ones."""
        experiments = self.sweep.experiments_at(study.method, study.point(trial))
        origins = [
            SweepOrigin(self.folder.path.name, study.number, trial.number, each.seed)
            for each in experiments
        ]
        there = {origin: known[origin] for origin in origins if origin in known}
        self.work.follow(there.values())
        missing = [origin for origin in origins if origin not in there]
        new = self.work.launch(
            [each for each, o in zip(experiments, origins, strict=True) if o not in there],
            self.folder.runs_dir,
            [origin._asdict() for origin in missing],
        )
        runs = there | dict(zip(missing, new, strict=True))
        launched = [runs[origin] for origin in origins]
        trial.set_user_attr("runs", [run.id for run in launched])
        return _Going(study, trial, launched)

    def _follow(self, going: _Going) -> None:
        """End a trial when its runs have ended or the pruner stops it."""
        statuses = self.work.statuses
        self.work.follow(run for run in going.runs if statuses[run.path].state == "stopped")
        states = [statuses[run.path] for run in going.runs]
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
            return self.work.follow([run])
        going.resumes += 1
        log.warning("%s is %s: resumed", run.id, status.state)
        self.work.resume([run])

    def _waits_for_a_person(self, going: _Going) -> bool:
        states = [self.work.statuses[run.path].state for run in going.runs]
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


def _by_origin(runs: Iterable[Run]) -> dict[SweepOrigin, Run]:
    """Return runs by trial and seed.

    If a killed process left two runs of one trial and seed, the newest counts.
    """
    by_id = sorted(runs, key=lambda run: run.id)
    return {origin: run for run in by_id if (origin := origin_of(run))}
