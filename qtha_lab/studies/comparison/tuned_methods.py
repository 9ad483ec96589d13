"""Every method of a comparison tuned before it is compared: a sweep for each, and what came out best of as many trials.

The sweeps lie in `tuning` beside the runs, each with its journal, and are the machinery of
`qtha_lab.studies.sweep`: killed or given more trials they go on. Winners are chosen on evaluation
rows; the seeds of the comparison confirm them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from qtha_lab.core import call_syntax as calls
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison, Sweep
from qtha_lab.experiment.contender import Contender
from qtha_lab.experiment.model_task_pairs import Cell
from qtha_lab.experiment.run_directory import queue as slots
from qtha_lab.runs.run import Run, Status
from qtha_lab.studies import sweep
from qtha_lab.studies.sweep import TrialRecord, Trials

FOLDER = "tuning"
POLL_SECONDS = 0.5
Progress = Callable[[Run, Status], None]
log = logging.getLogger(__name__)


def tuned(
    comparison: Comparison,
    contenders: Sequence[Contender],
    out: Path,
    on_progress: Progress,
    on: str | None = None,
) -> list[Contender]:
    """The methods at the settings that their trials found best; runs the trials that are missing.

    Args:
        comparison: What is compared.
        contenders: Its methods in their cells.
        out: The folder of the comparison.
        on_progress: Called with the runs of trials and their status some times a second.
        on: Machines that train the trials, as `qtha_lab.runs.remote` names them; None is this one.

    Raises:
        Refusal: If no trial of a method came to a finite loss, or a driver cannot work.
    """
    if comparison.tuning is None:
        return list(contenders)
    sweeps = {folder_of(comparison, e, out): comparison.sweep_of(e) for e in contenders}
    _drive(sweeps, slots.n_slots(comparison.training.threads), on_progress, on)
    return [_at_its_best(contender, comparison, out) for contender in contenders]


def _at_its_best(contender: Contender, comparison: Comparison, out: Path) -> Contender:
    described = comparison.sweep_of(contender)
    records = first_trials(described, Trials(folder_of(comparison, contender, out)).records())
    losses = tuple(record.value if _is_finite(record) else None for record in records)
    return contender.replace(point=winner(described, records).point, trials=losses)


def folder_of(comparison: Comparison, contender: Contender, out: Path) -> Path:
    """Where the trials of a method lie: the same as long as they can go on, whatever is added to the comparison.

    Args:
        comparison: What is compared.
        contender: The method in its cell.
        out: The folder of the comparison.
    """
    described = comparison.sweep_of(contender).model_dump(exclude={"trials"})
    described["axes"] = sorted(described["axes"])  # which may get more values
    digest = hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode()).hexdigest()
    words = re.sub(r"[^A-Za-z0-9]+", "-", f"{contender.cell} {contender.declared}").strip("-")
    return out / FOLDER / f"{words[:60]}-{digest[:8]}"


def first_trials(described: Sweep, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials of a method that count: as many as every method has, in the order in which they were begun."""
    (method,) = described.methods
    return sorted(records, key=lambda record: record.number)[: described.trials_of(method)]


def winner(described: Sweep, records: Sequence[TrialRecord]) -> TrialRecord:
    """The best of some trials of a method.

    Raises:
        Refusal: If none of them came to a finite loss.
    """
    finite = [record for record in records if _is_finite(record)]
    if not finite:
        cell = Cell(described.model, described.task, calls.write_options(described.task_options))
        raise Refusal(
            f"tuning: none of {len(records)} trials of {described.methods[0].label} on {cell} came to a finite loss: "
            "give it other axes, or leave it out"
        )
    return min(finite, key=lambda record: (record.value, record.number))


def _is_finite(record: TrialRecord) -> bool:
    return record.value is not None and math.isfinite(record.value)


def _drive(sweeps: dict[Path, Sweep], at_once: int, on_progress: Progress, on: str | None) -> None:
    """Run the sweeps, a few drivers at once, until each has ended; Ctrl-C stops them softly."""
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
            trials.folder.stop.touch()
        for trials in scheduled:
            trials.stop()
            watch.look(trials)
        raise


def _is_at_work(trials: Trials) -> bool:
    return trials.state in ("running", "stopping")


def _started(folder: Path, described: Sweep, on: str | None) -> Trials:
    """The trials of a sweep, started, gone on with, or given more."""
    trials = Trials(folder)
    if not trials.folder.exists:
        return sweep.launch(described, folder, check=False, on=on)
    if _is_at_work(trials):
        trials.wait()
    if trials.sweep != described:
        return trials.extend(on, trials=described.trials, axes=described.axes)
    return trials if trials.state == "finished" else trials.resume(on)


def _check_ended(trials: Trials) -> None:
    """Refuse to go on without the trials of a sweep whose driver has ended before them."""
    if (state := trials.state) != "finished":
        why = "a person stopped it" if state == "stopped" else "its driver.log says why"
        raise Refusal(f"tuning in {trials.folder.path} is {state} ({why}): compare again to go on")


class _Watch:
    """Tells of the runs of trials, each until it has ended."""

    def __init__(self, on_progress: Progress) -> None:
        self.on_progress = on_progress
        self.live: dict[str, Run] = {}

    def look(self, trials: Trials) -> None:
        """Tell of the runs that are new or go on."""
        self.live |= {run.id: run for run in trials.open_runs()}
        for name, run in list(self.live.items()):
            status = run.status()
            self.on_progress(run, status)
            if status.ended:
                del self.live[name]
