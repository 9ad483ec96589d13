"""One session of a run: directory, event log, first step, stop requests and optional measurements.

Trains nothing; loading, training and writing a run each receive the session.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import message_of
from qtha_lab.experiment import Experiment, Training
from qtha_lab.experiment.run_directory import RunDir, disk
from qtha_lab.experiment.run_directory.events import EventLog, history, read_events
from qtha_lab.training.evaluation import Interrupted
from qtha_lab.training.processes import ProcessGroup, Threads
from qtha_lab.training.resume import ResumePoint, find_start

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """Fixed properties of one session of a run.

    Attributes:
        run: Run directory.
        log: Event log.
        stop_requested: Returns True after a stop request.
        threads: Number of CPU threads of this process.
        start: Checkpoint and step at which this session starts.
        past: Valid events of earlier sessions.
        group: Process group of the run, set after all processes have loaded.
        queue: Folder of the queues for shared resources; None if the session does not queue.
    """

    run: RunDir
    log: EventLog
    stop_requested: Callable[[], bool]
    threads: Threads
    start: ResumePoint
    past: tuple[dict[str, Any], ...]
    group: ProcessGroup = field(default_factory=ProcessGroup)
    queue: Path | None = None

    @classmethod
    def begin(
        cls,
        run: RunDir,
        log: EventLog,
        stop_requested: Callable[[], bool],
        threads: Threads,
        queue: Path | None = None,
    ) -> Session:
        """Start the next session of a run; damaged checkpoints are moved aside.

        Args:
            run: Run directory.
            log: Event log; receives a note on damaged checkpoints first.
            stop_requested: Returns True after a stop request.
            threads: Number of CPU threads of this process.
            queue: Folder of the queues for shared resources; None if the session does not queue.

        Raises:
            Refusal: If checkpoints exist but none is intact.
        """
        start = find_start(run, log)
        past = tuple(history(read_events(run.events)[0]))
        return cls(run, log, stop_requested, threads, start, past, queue=queue)

    @cached_property
    def experiment(self) -> Experiment:
        """Experiment of the run."""
        return self.run.experiment

    @property
    def training(self) -> Training:
        """Training settings of the experiment."""
        return self.experiment.training

    @property
    def steps(self) -> int:
        """Number of optimiser steps of the whole run."""
        return self.training.steps

    @property
    def checkpoint(self) -> Path | None:
        """Checkpoint folder from which this session resumes; None at step 0."""
        return self.start.checkpoint

    @property
    def learning_rate(self) -> float:
        """Peak learning rate of the adapter."""
        return self.experiment.method.peak_learning_rate

    def recorded_steps(self, kind: str) -> set[int]:
        """Return the steps before this session that have a valid event of a kind."""
        steps = {event["step"] for event in self.past if event["kind"] == kind}
        return {step for step in steps if step <= self.start.step}

    def recorded_losses(self) -> dict[int, float]:
        """Return the valid evaluation losses before this session, by step."""
        evaluated = (event for event in self.past if event["kind"] == "eval")
        losses = {event["step"]: event["loss"] for event in evaluated if event["loss"] is not None}
        return {step: loss for step, loss in losses.items() if step <= self.start.step}

    def is_recorded(self, kind: str, step: int) -> bool:
        """Return True if any session of the run recorded such an event at a step."""
        events = history(read_events(self.run.events)[0])
        return any(event["kind"] == kind and event["step"] == step for event in events)

    def notes(self) -> list[str]:
        """Return the notes of all sessions of the run."""
        events = read_events(self.run.events)[0]
        return [event["message"] for event in events if event["kind"] == "note"]

    def note(self, message: str, step: int | None = None) -> None:
        """Append a note, unless the run has it already.

        Args:
            message: Sentence for users.
            step: Step of the note; None is the first step of the session.
        """
        if message not in self.notes():
            step = self.start.step if step is None else step
            self.log.append("note", step=step, message=message)

    def report(self, state: str, message: str = "", step: int | None = None) -> None:
        """Append a status event.

        Args:
            state: "loading", "running" and so on.
            message: Description of the current work.
            step: Step of the event; default: the first step of this session.
        """
        step = self.start.step if step is None else step
        log.info("%s: %s, step %d of %d; %s", self.run.path.name, state, step, self.steps, message)
        self.log.append("status", state=state, step=step, message=message)

    def poll(self) -> None:
        """Raise `Interrupted` after a stop request; otherwise adjust the number of threads.

        Raises:
            Interrupted: If a stop was requested.
        """
        if self.stop_requested():
            raise Interrupted
        self.threads.adjust(self.start.step)


Note = Callable[[str], None]


@contextmanager
def optional_measurement(name: str, note: Note) -> Iterator[None]:
    """Suppress an error of the block, and pass a sentence about it to `note`.

    A stop request and a full disk are raised.
    """
    try:
        yield
    except Interrupted:
        raise
    except Exception as problem:
        if disk.is_full(problem):
            raise
        log.warning("%s are left out", name, exc_info=problem)
        note(f"{name} are left out: {type(problem).__name__}: {message_of(problem)}")
