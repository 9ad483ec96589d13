"""Tuning of every contender before the comparison: one sweep per contender.

The sweeps are in `tuning` beside the runs, each with its journal, and use
`qtha_lab.studies.sweep`. Killed or extended sweeps continue. The best trials are selected on
evaluation rows; the seeds of the comparison confirm them.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from qtha_lab.core import call_syntax
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison, Sweep
from qtha_lab.experiment.description import ModelTask
from qtha_lab.experiment.matched_methods import Contender
from qtha_lab.experiment.run_directory import queue
from qtha_lab.runs.run import Run, Status
from qtha_lab.studies import sweep
from qtha_lab.studies.sweep import TrialRecord, Trials

FOLDER = "tuning"
POLL_SECONDS = 0.5
Progress = Callable[[Run, Status], None]


def tuned(
    comparison: Comparison,
    contenders: Sequence[Contender],
    out: Path,
    on_progress: Progress,
    on: str | None = None,
) -> list[Contender]:
    """Return the contenders at their best tuned settings; run missing trials first.

    Args:
        comparison: Comparison with its tuning.
        contenders: Contenders to tune.
        out: Folder of the comparison.
        on_progress: Callback with the trials' runs and their status, several times per second.
        on: Remote backend that trains the trials, by name; None is this machine.

    Raises:
        Refusal: If all trials of a method diverged, or a scheduler process stopped early.
    """
    if comparison.tuning is None:
        return list(contenders)
    sweeps = {folder_of(comparison, e, out): comparison.sweep_of(e) for e in contenders}
    _drive(sweeps, queue.n_slots(comparison.training.threads), on_progress, on)
    return [_at_its_best(contender, comparison, out) for contender in contenders]


def _at_its_best(contender: Contender, comparison: Comparison, out: Path) -> Contender:
    described = comparison.sweep_of(contender)
    view = Trials(folder_of(comparison, contender, out))
    records = first_trials(described, view.records())
    losses = tuple(record.value if _is_finite(record) else None for record in records)
    tried = {
        call_syntax.write_options(record.point): values
        for record in records
        if _is_finite(record) and (values := _by_seed(record, described, view))
    }
    return contender.replace(point=winner(described, records).point, trials=losses, tried=tried)


def _by_seed(record: TrialRecord, described: Sweep, view: Trials) -> list[float]:
    """Return the objective of a trial by seed; empty if a run lacks it."""
    summaries = [Run(view.folder.runs_dir / name).summary or {} for name in record.runs]
    values = [summary.get(described.objective) for summary in summaries]
    return [value for value in values if value is not None] if None not in values else []


def folder_of(comparison: Comparison, contender: Contender, out: Path) -> Path:
    """Return the folder of a contender's trials.

    The folder is the same as long as its trials can be extended, for example with more trials or
    axis values.

    Args:
        comparison: Comparison with its tuning.
        contender: Contender of one (model, task) pair.
        out: Folder of the comparison.
    """
    described = comparison.sweep_of(contender).model_dump(exclude={"trials"})
    described["axes"] = sorted(described["axes"])  # more values per axis are allowed
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


def _drive(sweeps: dict[Path, Sweep], at_once: int, on_progress: Progress, on: str | None) -> None:
    """Run all sweeps, several scheduler processes at once; Ctrl-C stops them with saved state."""
    waiting, scheduled = list(sweeps.items()), []
    watch = _Watch(on_progress)
    try:
        while waiting or scheduled:
            while waiting and len(scheduled) < at_once:
                scheduled.append(_started(*waiting.pop(0), on))
            time.sleep(POLL_SECONDS if any(_is_at_work(t) for t in scheduled) else 0)
            for trials in list(scheduled):
                watch.look(trials)
                if not _is_at_work(trials):
                    scheduled.remove(trials)
                    _check_ended(trials)
    except KeyboardInterrupt:
        for trials in scheduled:
            trials.folder.request_stop()
        for trials in scheduled:
            trials.stop()
            watch.look(trials)
        raise


def _is_at_work(trials: Trials) -> bool:
    return trials.state in ("running", "stopping")


def _started(folder: Path, described: Sweep, on: str | None) -> Trials:
    """Launch, resume or extend a sweep, and return its trials."""
    trials = Trials(folder)
    if not trials.folder.exists:
        return sweep.launch(described, folder, check=False, on=on)
    if _is_at_work(trials):
        trials.wait()
    if trials.sweep != described:
        return trials.extend(on, trials=described.trials, axes=described.axes)
    return trials if trials.state == "finished" else trials.resume(on)


def _check_ended(trials: Trials) -> None:
    """Refuse to continue if a scheduler process stopped before its trials had ended."""
    if (state := trials.state) != "finished":
        why = "a person stopped it" if state == "stopped" else "see its scheduler.log"
        raise Refusal(
            f"Tuning in {trials.folder.path} must be finished, got {state} ({why}). Run the "
            "same `compare` command to continue."
        )


class _Watch:
    """Progress reports on the runs of trials until each has ended."""

    def __init__(self, on_progress: Progress) -> None:
        self.on_progress = on_progress
        self.live: dict[str, Run] = {}

    def look(self, trials: Trials) -> None:
        """Report the status of new and running runs."""
        self.live |= {run.id: run for run in trials.open_runs()}
        for name, run in list(self.live.items()):
            status = run.status()
            self.on_progress(run, status)
            if status.ended:
                del self.live[name]
