"""The trials of a sweep as its journal has them; reads only, beside a driver at work or after a kill."""

from __future__ import annotations

import logging

import optuna
from optuna.storages.journal import JournalFileBackend, JournalStorage

from qtha_lab.sweep.folder import SweepDir
from qtha_lab.sweep.record import TrialRecord
from qtha_lab.sweep.study import WHY, quiet_optuna

log = logging.getLogger(__name__)

STATES = {"RUNNING": "running", "COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}


def read_trials(folder: SweepDir) -> list[TrialRecord]:
    """All trials of a sweep, in the order of its methods and then of their beginning."""
    sweep = folder.sweep
    labels = {f"{n} {method.meaning}": method.label for n, method in enumerate(sweep.methods)}
    records = []
    with quiet_optuna():
        journal = JournalStorage(_ReadOnly(str(folder.journal)))
        studies = {study.study_name: study for study in journal.get_all_studies()}
        for name, label in labels.items():
            trials = journal.get_all_trials(studies[name]._study_id) if name in studies else []
            records += [_record(label, trial) for trial in trials if trial.state.name in STATES]
    return records


def _record(label: str, trial: optuna.trial.FrozenTrial) -> TrialRecord:
    return TrialRecord(
        method=label,
        number=trial.number,
        state=STATES[trial.state.name],
        point=dict(trial.params),
        value=trial.value if trial.state.name == "COMPLETE" else None,
        runs=list(trial.user_attrs.get("runs", [])),
        message=trial.user_attrs.get(WHY, ""),
    )


class _ReadOnly(JournalFileBackend):
    """A journal as far as its lines are whole; what a kill cut off is the driver's to mend."""

    def read_logs(self, log_number_from):
        logs = super().read_logs(log_number_from)
        while True:
            try:
                yield next(logs)
            except (StopIteration, ValueError) as reason:
                log.debug("the log of trials ends here: %r", reason)
                return
