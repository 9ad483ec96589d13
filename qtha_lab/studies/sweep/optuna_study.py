"""Trials of one swept method, as an Optuna study in the sweep's journal.

Selects points and records results; launches no run.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from qtha_lab.core.io import refuse_links
from qtha_lab.core.io.text import PART
from qtha_lab.core.patches import journal_lock
from qtha_lab.experiment.axes import Axis
from qtha_lab.experiment.method_choice import MethodChoice
from qtha_lab.experiment.sweep import Point, Sweep
from qtha_lab.studies.sweep.confirmation import TrialRecord
from qtha_lab.studies.sweep.journal import cut_damage, read_journal

WHY = "why"
PRUNED = "pruned"


def open_journal(path: Path) -> JournalStorage:
    """Open the journal of a sweep for writing, cut before the first damaged line."""
    refuse_links(path, path.parent)
    with quiet_optuna():
        if path.exists():
            cut_damage(path)
        lock = journal_lock(path.with_name(f"{path.name}.lock"))
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))


class MethodStudy:
    """Optuna study of one method.

    Args:
        sweep: Sweep of the study.
        number: Index of the method in the sweep.
        journal: Storage of the trials.
    """

    def __init__(self, sweep: Sweep, number: int, journal: JournalStorage) -> None:
        self.sweep, self.number = sweep, number
        self.method: MethodChoice = sweep.methods[number]
        self.axes = sweep.axes_of(self.method)
        with quiet_optuna():
            self.study = optuna.create_study(
                storage=journal,
                study_name=f"{number} {self.method.meaning}",
                direction=sweep.direction,
                load_if_exists=True,
                pruner=_pruner(sweep),
            )

    def trials(self) -> list[FrozenTrial]:
        """Return all trials that have begun."""
        every = self.study.get_trials(deepcopy=False)
        return [trial for trial in every if trial.state != TrialState.WAITING]

    def open_trials(self) -> list[Trial]:
        """Return trials begun but not ended, as after a killed scheduler process.

        A trial without a complete point gets the point that it would have had.
        """
        return [self._whole(t) for t in self.trials() if t.state == TrialState.RUNNING]

    def _whole(self, trial: FrozenTrial) -> Trial:
        with quiet_optuna():
            self.study.sampler = _sampler(self.sweep, self.number, trial.number)
            whole = Trial(self.study, trial._trial_id)
            for name, distribution in self._distributions().items():
                if name not in trial.params:
                    whole._suggest(name, distribution)
            return whole

    def remaining(self) -> int:
        """Return the number of trials still to begin."""
        return max(0, self.sweep.trials_of(self.method) - len(self.trials()))

    def ask(self) -> Trial:
        """Begin a trial at a new point, identical with and without an interruption."""
        count = len(self.trials())
        with quiet_optuna():
            self.study.sampler = _sampler(self.sweep, self.number, count)
            waits = any(
                t.state == TrialState.WAITING for t in self.study.get_trials(deepcopy=False)
            )
            if (
                self.sweep.search == "grid" and not waits
            ):  # else a killed process had already enqueued the point
                self.study.enqueue_trial(self._next_of_grid())
            return self.study.ask(self._distributions())

    def _distributions(self) -> dict[str, BaseDistribution]:
        if self.sweep.search == "grid":
            return {name: _fixed(axis.grid()) for name, axis in self.axes.items()}
        return {name: _distribution(axis) for name, axis in self.axes.items()}

    def point(self, trial: Trial | FrozenTrial) -> Point:
        """Return the point of a trial, with each value as the axis writes it."""
        return {name: trial.params[name] for name in self.axes}

    def _next_of_grid(self) -> dict[str, Any]:
        grid = self.sweep.grid(self.method)
        visited = {tuple(self.point(trial).values()) for trial in self.trials()}
        if self.sweep.trials is not None and self.sweep.trials < len(grid):
            grid.sort(key=lambda point: _number(self.sweep.search_seed, repr(point)))
        return next(dict(point) for point in grid if tuple(point.values()) not in visited)

    def report(self, trial: Trial, values: Mapping[int, float]) -> bool:
        """Record the objective at more steps; return True if the pruner stops the trial."""
        for step, value in sorted(values.items()):
            trial.report(value, step)
            if trial.should_prune():
                return True
        return False

    def tell(self, trial: Trial, value: float) -> None:
        """End a trial with its objective; a diverged trial gets the worst value."""
        worst = math.inf if self.sweep.direction == "minimize" else -math.inf
        self.study.tell(trial, value if math.isfinite(value) else worst)

    def record_pruned(self, trial: Trial) -> None:
        """End a trial that the pruner stopped."""
        self.study.tell(trial, state=TrialState.PRUNED)

    def record_failure(self, trial: Trial, why: str) -> None:
        """End a failed trial and record the reason."""
        trial.set_user_attr(WHY, why)
        self.study.tell(trial, state=TrialState.FAIL)


def _distribution(axis: Axis) -> BaseDistribution:
    if axis.listed:
        return CategoricalDistribution(axis.listed)
    if axis.is_whole:
        return IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return FloatDistribution(axis.low, axis.high, log=axis.log)


def _fixed(values: list[Any]) -> BaseDistribution:
    """Return a distribution of grid values; numeric ranges let a grid grow later."""
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return IntDistribution(min(values), max(values))
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return FloatDistribution(min(values), max(values))
    return CategoricalDistribution(values)


def _number(seed: int, text: str) -> int:
    """Hash a seed and a text to an integer."""
    return int.from_bytes(hashlib.sha256(f"{seed} {text}".encode()).digest()[:4], "big")


def _sampler(sweep: Sweep, method: int, count: int) -> optuna.samplers.BaseSampler:
    """Return the sampler of the next trial.

    The seed depends on the number of earlier trials, so a resumed search is reproducible. Sobol
    sampling uses one seed per method.
    """
    seed = _number(sweep.search_seed, f"{method} {count}")
    if sweep.search == "tpe":
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    if sweep.search == "gp":
        return optuna.samplers.GPSampler(seed=seed, deterministic_objective=False)
    if sweep.search == "sobol":
        return optuna.samplers.QMCSampler(
            seed=_number(sweep.search_seed, str(method)), scramble=True
        )
    return optuna.samplers.RandomSampler(seed=seed)


def _pruner(sweep: Sweep) -> optuna.pruners.BasePruner:
    if sweep.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=3)
    if sweep.pruner == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=sweep.training.eval_every)
    return optuna.pruners.NopPruner()


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Suppress Optuna's log lines and experimental warnings on standard error."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


DAMAGED = "its lines in journal.log are damaged"
STATES = {"RUNNING": "running", "COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}


def read_trials(file: Path, sweep: Sweep) -> list[TrialRecord]:
    """Return all trials of a sweep, ordered by method and then by beginning."""
    labels = {f"{n} {method.meaning}": method.label for n, method in enumerate(sweep.methods)}
    records = []
    with quiet_optuna():
        journal, _ = read_journal(file)
        studies = {study.study_name: study for study in journal.get_all_studies()}
        for name, label in labels.items():
            trials = journal.get_all_trials(studies[name]._study_id) if name in studies else []
            records += [_record(label, trial) for trial in trials if trial.state.name in STATES]
    return records


def _record(label: str, trial: optuna.trial.FrozenTrial) -> TrialRecord:
    attributes = trial.user_attrs if isinstance(trial.user_attrs, dict) else {"runs": None}
    state, runs = STATES[trial.state.name], attributes.get("runs", [])
    value, why = trial.values, attributes.get(WHY, "")
    is_whole = (
        isinstance(trial.params, dict)
        and isinstance(runs, list)
        and all(map(_is_name, runs))
        and isinstance(why, str)
    )
    if state == "complete":
        is_whole &= value is not None and len(value) == 1 and isinstance(value[0], int | float)
    if not is_whole:
        return TrialRecord(label, trial.number, "failed", {}, None, [], DAMAGED)
    return TrialRecord(
        method=label,
        number=trial.number,
        state=state,
        point=dict(trial.params),
        value=value[0] if state == "complete" and value else None,
        runs=list(runs or ()),
        message=why or "",
    )


def _is_name(run: Any) -> bool:
    return isinstance(run, str) and PART.fullmatch(run) is not None
