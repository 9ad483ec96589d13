"""Runs of a study that one process starts and follows until the plan ends."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import disk, queue
from qtha_lab.runs.launch import launch_all, with_absolute_paths
from qtha_lab.runs.process_start import start_worker
from qtha_lab.runs.remote import RemoteBackend, remote_backend_named
from qtha_lab.runs.run import Run, Status, list_runs, resume_all

if TYPE_CHECKING:
    from qtha_lab.studies.study import Study

POLL_SECONDS = 0.3
REMOTE_JOBS = 32  # simultaneous runs on a remote backend, which queues them
log = logging.getLogger(__name__)


class OnProgress(Protocol):
    """Callback with a run and its status."""

    def __call__(self, run: Run, status: Status) -> None: ...


def ignore(run: Run, status: Status) -> None:
    """Ignore the progress of a run."""


class Work:
    """Runs of one study that this process starts and follows.

    Args:
        folder: Folder of the runs, unless `start` states another.
        on_progress: Callback with each run and its status, several times per second.
        backend: Remote backend that trains the runs; None is this machine.
        locks: Held locks of runs that were created at the launch, by directory.
    """

    def __init__(
        self,
        folder: Path = Path(),
        on_progress: OnProgress = ignore,
        backend: RemoteBackend | None = None,
        locks: Mapping[Path, int] | None = None,
    ) -> None:
        self.folder, self.on_progress, self.backend = folder, on_progress, backend
        self.locks = dict(locks or {})
        self.live: dict[Path, Run] = {}
        self.statuses: dict[Path, Status] = {}

    def stage(
        self,
        experiments: Sequence[Experiment],
        folder: Path | None = None,
        there: Iterable[Run] | None = None,
    ) -> Iterator[None]:
        """Run experiments to their end; `runs = yield from work.stage(experiments)`.

        Args:
            experiments: Experiments of the stage.
            folder: Folder of the runs; None is that of the study.
            there: Existing runs that may be reused; None takes those of the folder.
        """
        runs = self.start(experiments, folder, there)
        while not all(self.ended(run) for run in runs):
            yield
        return runs

    def start(
        self,
        experiments: Sequence[Experiment],
        folder: Path | None = None,
        there: Iterable[Run] | None = None,
        origins: Sequence[Mapping[str, Any] | None] = (),
        *,
        check: bool = False,
    ) -> list[Run]:
        """Start the missing runs of experiments, and return one run per experiment.

        Finished and running ones are reused, stopped and dead ones are resumed. New runs share one
        scheduler process.

        Args:
            experiments: Experiments to run.
            folder: Folder of the runs; None is that of the study.
            there: Runs that may be reused; None lists the folder.
            origins: Origin that each new run records; may be empty.
            check: Validate new experiments first.
        """
        folder = folder or self.folder
        if there is None:
            there = list_runs(folder) if experiments else []
        earlier = [(run, same_training(run.experiment)) for run in there]
        found = [_existing(experiment, earlier) for experiment in experiments]
        self.follow(run for run in found if run)
        self.resume(run for run in found if run and self.statuses[run.path].state in AGAIN)
        missing = [number for number, run in enumerate(found) if run is None]
        of_new = [origins[number] for number in missing] if origins else ()
        described = [experiments[number] for number in missing]
        new = iter(self.launch(described, folder, of_new, check=check))
        return [run or next(new) for run in found]

    def launch(
        self,
        experiments: Sequence[Experiment],
        folder: Path,
        origins: Sequence[Mapping[str, Any] | None] = (),
        *,
        check: bool = False,
    ) -> list[Run]:
        """Start new runs, which this process follows.

        Args:
            experiments: Experiments to run.
            folder: Folder of the runs.
            origins: What each run belongs to, such as a trial; may be empty.
            check: Validate the experiments first.
        """
        runs = launch_all(experiments, folder, check=check, origins=origins, on=self.backend)
        self.follow(runs)
        return runs

    def resume(self, runs: Iterable[Run]) -> None:
        """Resume runs, or start those that the launch created."""
        runs = list(runs)
        resume_all(runs, on=self.backend)
        self.follow(runs)

    def follow(self, runs: Iterable[Run]) -> None:
        """Report the status of runs until each has ended; start those that the launch created."""
        for run in runs:
            if (lock := self.locks.pop(run.path, None)) is not None:
                start_worker(run.files, lock)
                os.close(lock)
            self.live[run.path] = run
            self._read(run)

    def look(self) -> None:
        """Read and report the status of every run that has not ended."""
        for run in list(self.live.values()):
            self._read(run)

    def _read(self, run: Run) -> None:
        status = self.statuses[run.path] = run.status()
        if status.ended:
            self.live.pop(run.path, None)
        self.on_progress(run, status)

    def ended(self, run: Run) -> Status | None:
        """Return the status of a followed run that has ended; None before."""
        status = self.statuses[run.path]
        return status if status.ended else None

    def free(self, threads: int | None) -> int:
        """Return the number of runs that may start now.

        Args:
            threads: CPU threads of a run; None is the default.
        """
        return (REMOTE_JOBS if self.backend else queue.n_slots(threads)) - len(self.live)

    def stop(self) -> None:
        """Stop all runs with saved state, and wait for them."""
        runs = list(self.live.values())
        for run in runs:
            run.request_stop()
        if self.backend:
            self.backend.close()
        for run in runs:
            run.stop()
        self.on_progress = ignore
        self.look()


AGAIN = ("stopped", "dead")


def drive(
    study: Study,
    on_progress: OnProgress = ignore,
    on: str | None = None,
    locks: Mapping[Path, int] | None = None,
) -> Any:
    """Drive the plan of a study to its end, and return its result.

    Raises:
        KeyboardInterrupt: After a stop request or an interrupt, once the runs are stopped.
    """
    with contextlib.ExitStack() as held:
        backend = held.enter_context(contextlib.closing(remote_backend_named(on))) if on else None
        work = Work(study.runs_dir, on_progress, backend, locks)
        plan = study.plan(work)
        held.callback(plan.close)
        try:
            return complete(plan, work, study)
        except (KeyboardInterrupt, Refusal) as reason:
            if isinstance(reason, KeyboardInterrupt):
                study.request_stop()
            work.stop()
            raise


def complete(plan: Iterator[None], work: Work, study: Study | None = None) -> Any:
    """Advance a plan to its end, and return its result.

    Args:
        plan: Plan that waits for runs by `yield`.
        work: Work that follows the runs.
        study: Study whose stop request interrupts the plan, if any.

    Raises:
        KeyboardInterrupt: If a stop of the study is requested.
    """
    while True:
        if study is not None:
            wait_for(study.path)
        try:
            next(plan)
        except StopIteration as end:
            return end.value
        work.look()
        if study is not None and study.stop_file.exists():
            raise KeyboardInterrupt
        time.sleep(POLL_SECONDS)


def together(plans: Sequence[Iterator[None]]) -> Iterator[None]:
    """Advance several plans in turn until each has ended; return their results in order."""
    results: dict[int, Any] = {}
    while True:
        for number, plan in enumerate(plans):
            if number not in results:
                try:
                    next(plan)
                except StopIteration as end:
                    results[number] = end.value
        if len(results) == len(plans):
            return [results[number] for number in sorted(results)]
        yield


def wait_for(folder: Path) -> None:
    """Wait while a folder is unreachable in a storage outage."""
    if disk.is_unreachable(folder):
        log.warning("the folder %s is away: the study goes on when it is back", folder)
    while disk.is_unreachable(folder):
        time.sleep(POLL_SECONDS)


def same_training(experiment: Experiment) -> Experiment:
    """Return the part of an experiment's description that determines its training.

    Paths are absolute and the name is empty, so equal results mean the same training.
    """
    course = experiment.training.without_derived_steps
    return with_absolute_paths(experiment).replace(name="", training=course)


def _existing(experiment: Experiment, earlier: list[tuple[Run, Experiment]]) -> Run | None:
    """Return the run of an experiment; None if there is none that has not failed."""
    meaning = same_training(experiment)
    for run in (run for run, of_run in earlier if of_run == meaning):
        state = run.status().state
        log.info("%s is %s: not started again", run.id, state)
        if state != "failed":
            return run
    return None
