"""Tuning of every contender before the comparison: one sweep per contender.

The sweeps are in `tuning` beside the runs, each with its journal, and are part of the plan of the
comparison. Killed or extended sweeps continue. The best trials are selected on evaluation rows;
the seeds of the comparison confirm them.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Generator, Sequence
from pathlib import Path

from qtha_lab.core import call_syntax
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder
from qtha_lab.experiment import Comparison, Sweep
from qtha_lab.experiment.description import ModelTask
from qtha_lab.experiment.matched_methods import Contender
from qtha_lab.runs.run import Run
from qtha_lab.studies.study import Study
from qtha_lab.studies.sweep.confirmation import TrialRecord
from qtha_lab.studies.sweep.sweep_study import SweepStudy
from qtha_lab.studies.work import Work, together

FOLDER = "tuning"


def tuned(
    study: Study, contenders: Sequence[Contender], work: Work
) -> Generator[None, None, list[Contender]]:
    """Return the contenders at their best tuned settings; run missing trials first.

    Raises:
        Refusal: If all trials of a method diverged, or a user stopped them.
    """
    comparison = study.trusted
    if comparison.tuning is None:
        return list(contenders)
    sweeps = [_sweep(comparison, contender, study.path) for contender in contenders]
    yield from together([sweep.nested_plan(work) for sweep in sweeps])
    for sweep in sweeps:
        _check_ended(sweep)
    return [
        _at_its_best(contender, comparison, sweep)
        for contender, sweep in zip(contenders, sweeps, strict=True)
    ]


def _sweep(comparison: Comparison, contender: Contender, out: Path) -> SweepStudy:
    """Return the sweep of a contender, with the trials and axis values of the comparison."""
    sweep = SweepStudy(folder_of(comparison, contender, out))
    make_folder(sweep.path)
    if not sweep.exists or sweep.described != comparison.sweep_of(contender):
        sweep.write(comparison.sweep_of(contender))
    return sweep


def _at_its_best(contender: Contender, comparison: Comparison, sweep: SweepStudy) -> Contender:
    described = comparison.sweep_of(contender)
    records = first_trials(described, sweep.records())
    losses = tuple(record.value if _is_finite(record) else None for record in records)
    tried = {
        call_syntax.write_options(record.point): values
        for record in records
        if _is_finite(record) and (values := _by_seed(record, described, sweep))
    }
    return contender.replace(point=winner(described, records).point, trials=losses, tried=tried)


def _by_seed(record: TrialRecord, described: Sweep, sweep: SweepStudy) -> list[float]:
    """Return the objective of a trial by seed; empty if a run lacks it."""
    summaries = [Run(sweep.runs_dir / name).summary or {} for name in record.runs]
    values = [summary.get(described.objective) for summary in summaries]
    return [value for value in values if value is not None] if None not in values else []


def folder_of(comparison: Comparison, contender: Contender, out: Path) -> Path:
    """Return the folder of a contender's trials.

    The folder is the same as long as its trials can be extended, for example with more trials or
    axis values.
    """
    described = comparison.sweep_of(contender).model_dump(exclude={"trials"})
    described["axes"] = sorted(described["axes"])  # more values per axis are allowed
    described["training"] = contender.training.model_dump()
    digest = hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode()).hexdigest()
    words = re.sub(r"[^A-Za-z0-9]+", "-", f"{contender.model_task} {contender.declared}").strip("-")
    return out / FOLDER / f"{words[:60]}-{digest[:8]}"


def first_trials(described: Sweep, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the trials that count, in order: equally many for every method."""
    (method,) = described.methods
    return sorted(records, key=lambda record: record.number)[: described.trials_of(method)]


def winner(described: Sweep, records: Sequence[TrialRecord]) -> TrialRecord:
    """Return the best trial of a method.

    Raises:
        Refusal: If no trial has a finite loss.
    """
    finite = [record for record in records if _is_finite(record)]
    if not finite:
        model_task = ModelTask(
            described.model, described.task, call_syntax.write_options(described.task_options)
        )
        raise Refusal(
            f"No loss is finite in {len(records)} tuning trials of {described.methods[0].label} on "
            f"{model_task}. Give it other axes, or remove the method."
        )
    return min(finite, key=lambda record: (record.value, record.number))


def _is_finite(record: TrialRecord) -> bool:
    return record.value is not None and math.isfinite(record.value)


def _check_ended(sweep: SweepStudy) -> None:
    """Refuse to continue if a user stopped the trials of a method."""
    if not sweep.has_ended:
        raise Refusal(
            f"Tuning in {sweep.path} must be finished, got stopped (a person stopped it). Run the "
            "same `compare` command to continue."
        )
