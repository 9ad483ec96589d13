"""Execution of a comparison: launch missing runs, collect summaries, describe results.

All files are under `out`: `comparison.yaml`, `tuning/`, `runs/`, `rounding/`, `summary.json` and
the measured seconds per step. A run starts when a slot is free. Another call of `run` with the
same `out` continues. Draws no figure.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder, refuse_inner_links, write_json
from qtha_lab.experiment import Comparison, Experiment
from qtha_lab.experiment.matched_methods import Contender
from qtha_lab.experiment.run_directory import outage, queue
from qtha_lab.experiment.run_directory.scheduler_process import LEVELS
from qtha_lab.runs.remote import RemoteBackend, remote_backend_named
from qtha_lab.runs.run import Run, Status, launch_all, list_runs, resume_all
from qtha_lab.studies.comparison.changes import check_edit, left_out, what_counts
from qtha_lab.studies.comparison.contenders import contender_records, timed
from qtha_lab.studies.comparison.folder import ComparisonDir
from qtha_lab.studies.comparison.sealed_pool import open_sealed_pool
from qtha_lab.studies.comparison.summary import summary_of
from qtha_lab.studies.comparison.tuned_methods import tuned

Progress = Callable[[Run, Status], None]
POLL_SECONDS = 0.3
SUMMARY_SHARE = (
    0.05  # share of time for summaries during runs: with hundreds of runs one takes seconds
)
log = logging.getLogger(__name__)


def run_comparison(
    comparison: Comparison,
    out: Path | str,
    on_progress: Progress | None = None,
    *,
    on: str | None = None,
) -> dict[str, Any]:
    """Run every method, seed, model and task of a comparison.

    Writes `out/summary.json` as runs end.

    Tuning trials run first. Finished runs of the same experiment are reused, running ones are
    monitored, and stopped or dead ones are resumed. Ctrl-C stops the runs with saved state before
    it is raised again.

    Args:
        comparison: Comparison to run.
        out: Folder of all results; another call with the same folder continues.
        on_progress: Callback with each run and its status, several times per second.
        on: Remote backend that trains the runs, by name; None is this machine.

    Returns:
        `{"comparison": …, "runs": [one entry per run], "notes": [sentences]}`.

    Raises:
        Refusal: If the comparison cannot run, another process uses `out`, or an edit would
            invalidate runs in `out` (see `changes.check_edit`).

    Example:
        >>> comparison = Comparison(methods="lora,qtha")
        >>> run_comparison(comparison, "out/tiny")["notes"][0]  # doctest: +SKIP
        'All methods of a seed started from the same evaluation loss (exactly).'
    """
    folder = ComparisonDir(out := Path(out))
    refuse_inner_links(out, LEVELS)
    comparison.check(folder.runs_dir)
    make_folder(out)
    lock = queue.hold(out / ".lock")
    if lock is None:
        raise Refusal(
            f"{out} must have one process of a comparison, got a second one. Wait for the first "
            "one, or choose another folder."
        )
    with contextlib.ExitStack() as held:
        held.callback(os.close, lock)
        check_edit(comparison, out)
        open_sealed_pool(comparison)
        backend = held.enter_context(contextlib.closing(remote_backend_named(on))) if on else None
        folder.write(comparison)
        progress = on_progress or _nothing
        contenders = tuned(
            comparison, timed(comparison, out), out, progress, backend.name if backend else None
        )
        return _follow(_Work(comparison, contenders, folder, backend), out, progress)


def summarise_runs(
    comparison: Comparison, queue: Sequence[Run], contenders: Sequence[Contender] | None = None
) -> dict[str, Any]:
    """Return the summary of the ended runs, as in `summary.json`.

    Args:
        comparison: Comparison that was run.
        queue: Runs of the comparison.
        contenders: Contenders; None uses the comparison's own, without matching by seconds or
            tuning.

    Returns:
        See `summary.summary_of`.
    """
    ended = [(run, status) for run in queue if (status := run.status()).ended]
    entries = [run.outcome(status) for run, status in ended]
    takes_part = comparison.contenders() if contenders is None else contenders
    methods = contender_records(comparison, takes_part)
    return summary_of(comparison, methods, entries, [run for run, _ in ended], [], len(queue))


@dataclass
class _Side:
    """Runs of one folder: compared runs, or 1-ulp perturbation runs.

    Attributes:
        folder: Folder of the runs.
        waiting: Experiments still to start.
        earlier: Runs that already existed, each with the training-relevant part of its
            description.
        started: Runs started or adopted so far.
        ended: Entries of ended runs, by index.
    """

    folder: Path
    waiting: list[Experiment]
    earlier: list[tuple[Run, Experiment]]
    started: list[Run] = field(default_factory=list)
    ended: dict[int, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path, experiments: list[Experiment], there: list[Run]) -> _Side:
        """Build the side of some experiments and the existing runs of their folder."""
        earlier = [(run, what_counts(run.experiment)) for run in there]
        return cls(folder, experiments, earlier)

    @property
    def live(self) -> int:
        """Number of runs that have not ended."""
        return len(self.started) - len(self.ended)

    @property
    def entries(self) -> list[dict[str, Any]]:
        """Entries of the ended runs, in order."""
        return [self.ended[place] for place in sorted(self.ended)]

    @property
    def left_out(self) -> list[Run]:
        """Existing runs that no experiment uses; empty while experiments are waiting."""
        taken = {run.path for run in self.started}
        return [] if self.waiting else [run for run, _ in self.earlier if run.path not in taken]

    def start_all(self, backend: RemoteBackend | None) -> None:
        """Start all experiments, on this machine or a remote backend, which queues them.

        New runs share one scheduler process, and so do resumed ones.
        """
        there = [_existing(experiment, self.earlier) for experiment in self.waiting]
        ended = [run for run in there if run and run.status().state in ("stopped", "dead")]
        resume_all(ended, on=backend)
        missing = [e for e, run in zip(self.waiting, there, strict=True) if run is None]
        new = iter(launch_all(missing, self.folder, check=False, on=backend))
        self.started += [run or next(new) for run in there]
        self.waiting = []

    def look(self, on_progress: Progress) -> None:
        """Update the ended runs and report the status of the others."""
        for place, run in enumerate(self.started):
            if place not in self.ended:
                status = run.status()
                on_progress(run, status)
                if status.ended:
                    self.ended[place] = run.outcome(status)


class _Work:
    """Queue of the runs of a comparison; each starts when a slot is free.

    Attributes:
        table: One run per (model, task) pair, method, learning rate and seed.
        repeats: Runs with 1-ulp perturbations, planned after the compared runs, which select their
            learning rates.
    """

    def __init__(
        self,
        comparison: Comparison,
        contenders: Sequence[Contender],
        folder: ComparisonDir,
        backend: RemoteBackend | None,
    ) -> None:
        self.comparison, self.contenders = comparison, contender_records(comparison, contenders)
        self.experiments, self.folder = comparison.experiments(contenders), folder
        table = folder.named(self.experiments)
        self.table = _Side.of(folder.runs_dir, table, folder.runs() if table else [])
        self.repeats = _Side.of(folder.perturbed_dir, [], [])
        self.owes_repeats = comparison.rounding > 0
        self.backend = backend
        self.expected = len(self.table.waiting)

    @property
    def sides(self) -> tuple[_Side, _Side]:
        """Both kinds of runs, in order of priority."""
        return self.table, self.repeats

    @property
    def started(self) -> list[Run]:
        """All runs started so far."""
        return [run for side in self.sides for run in side.started]

    @property
    def n_ended(self) -> int:
        """Number of runs that have ended."""
        return sum(len(side.ended) for side in self.sides)

    @property
    def is_done(self) -> bool:
        """True if every run has ended."""
        return not self.owes_repeats and not any(side.waiting or side.live for side in self.sides)

    def go_on(self, on_progress: Progress) -> bool:
        """Update the runs, and start others in free slots.

        Returns True if a run has ended since the last call.
        """
        before = self.n_ended
        for side in self.sides:  # update both first: the table gets a slot that a repeat frees
            side.look(on_progress)
        if self.owes_repeats and not (self.table.waiting or self.table.live):
            self._plan_repeats()
        for side in self.sides:
            if side.waiting:
                side.start_all(self.backend)
                side.look(on_progress)
        return self.n_ended > before

    def _plan_repeats(self) -> None:
        """Plan the 1-ulp perturbation runs at each method's best learning rate."""
        from qtha_lab.studies.comparison.rounding_noise import at_best_rates

        moved = self.comparison.perturbed(at_best_rates(self.experiments, self.table.ended))
        folder = self.folder.perturbed_dir
        self.repeats = _Side.of(folder, moved, list_runs(folder) if moved else [])
        self.owes_repeats = False


def _existing(experiment: Experiment, earlier: list[tuple[Run, Experiment]]) -> Run | None:
    """Return the run of an experiment; None if there is none that has not failed."""
    meaning = what_counts(experiment)
    for run in (run for run, of_run in earlier if of_run == meaning):
        state = run.status().state
        log.info("%s is %s: not started again", run.id, state)
        if state != "failed":
            return run
    return None


def _nothing(run: Run, status: Status) -> None:
    """Ignore the progress of a run."""


def _follow(work: _Work, out: Path, on_progress: Progress) -> dict[str, Any]:
    behind, due = False, 0.0
    try:
        while True:
            _wait_for(out)
            behind = work.go_on(on_progress) or behind
            if work.is_done:
                return _write_summary(work, out)
            if behind and (start := time.monotonic()) >= due:
                _write_summary(work, out)
                behind, end = False, time.monotonic()
                due = end + (end - start) / SUMMARY_SHARE
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        for run in work.started:
            run.request_stop()
        if work.backend:
            work.backend.close()
        for run in work.started:
            run.stop()
        for side in work.sides:
            side.look(_nothing)
        _write_summary(work, out)
        raise


def _wait_for(out: Path) -> None:
    """Wait while the folder of a comparison is unreachable in a storage outage."""
    if outage.is_unreachable(out):
        log.warning("the folder %s is away: the comparison goes on when it is back", out)
    while outage.is_unreachable(out):
        time.sleep(POLL_SECONDS)


def _write_summary(work: _Work, out: Path) -> dict[str, Any]:
    table = work.table
    ended = [table.started[place] for place in sorted(table.ended)]
    summary = summary_of(
        work.comparison, work.contenders, table.entries, ended, work.repeats.entries, work.expected
    )
    summary["notes"] += left_out(table.left_out, table.folder)
    write_json(out / "summary.json", summary)
    return summary
