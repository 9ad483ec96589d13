"""Trials of a sweep, read from its journal; safe beside a running scheduler process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna

from qtha_lab.core.io.text import PART
from qtha_lab.experiment.sweep import Sweep
from qtha_lab.studies.sweep.journal import read_journal
from qtha_lab.studies.sweep.optuna_study import WHY, quiet_optuna
from qtha_lab.studies.sweep.record import TrialRecord

DAMAGED = "its lines in journal.log are damaged"
STATES = {"RUNNING": "running", "COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}


def read_trials(file: Path, sweep: Sweep) -> list[TrialRecord]:
    """Return all trials of a sweep, ordered by method and then by beginning.

    Args:
        file: Journal of the trials.
        sweep: Description of the sweep.
    """
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
