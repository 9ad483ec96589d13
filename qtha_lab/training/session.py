"""One session of work on a run: its directory, its log, where it begins, and whether it is to stop.

Trains nothing; `loaded`, `trained` and `written` are what a session comes to, one after the other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from qtha_lab.experiment import Experiment, Training
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.events import EventLog, history, read_events
from qtha_lab.training.evaluation import Interrupted
from qtha_lab.training.process_group import Group
from qtha_lab.training.resume import Start, find_start
from qtha_lab.training.threads import Threads

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """What stays the same while a worker works on a run; the files of the run do not.

    Attributes:
        run: The run's directory.
        log: Takes the events.
        stop_requested: Whether the run was asked to stop.
        threads: CPU threads of this process, as many as are free.
        start: The checkpoint and the step that this session begins at.
        past: Events of earlier sessions that still hold.
        group: The processes that take its steps together, once all have loaded.
        queue: Where runs wait for what they share; None where this one waits for nobody.
    """

    run: RunDir
    log: EventLog
    stop_requested: Callable[[], bool]
    threads: Threads
    start: Start
    past: tuple[dict[str, Any], ...]
    group: Group = field(default_factory=Group)
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
        """The next session of a run; damaged checkpoints are set aside.

        Args:
            run: Its directory.
            log: Takes the events, first a note on damaged checkpoints.
            stop_requested: Whether the run was asked to stop.
            threads: CPU threads of this process, as many as are free.
            queue: Where runs wait for what they share; None where this one waits for nobody.

        Raises:
            Refusal: If there were checkpoints and none is whole.
        """
        start = find_start(run, log)
        past = tuple(history(read_events(run.events)[0]))
        return cls(run, log, stop_requested, threads, start, past, queue=queue)

    @cached_property
    def experiment(self) -> Experiment:
        """What the run was launched with."""
        return self.run.experiment

    @property
    def training(self) -> Training:
        """The course of the training."""
        return self.experiment.training

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        return self.training.steps

    @property
    def checkpoint(self) -> Path | None:
        """The folder that this session goes on from; None at step 0."""
        return self.start.checkpoint

    @property
    def learning_rate(self) -> float:
        """Peak learning rate of the adapter."""
        return self.experiment.method.peak_learning_rate

    def recorded_steps(self, kind: str) -> set[int]:
        """Steps up to the start of this session of which an event of that kind still holds."""
        steps = {event["step"] for event in self.past if event["kind"] == kind}
        return {step for step in steps if step <= self.start.step}

    def recorded_losses(self) -> dict[int, float]:
        """Evaluation losses up to the start of this session that still hold, by step."""
        evaluated = (event for event in self.past if event["kind"] == "eval")
        losses = {event["step"]: event["loss"] for event in evaluated if event["loss"] is not None}
        return {step: loss for step, loss in losses.items() if step <= self.start.step}

    def is_recorded(self, kind: str, step: int) -> bool:
        """Whether an earlier session, or this one, has recorded this already."""
        events = history(read_events(self.run.events)[0])
        return any(event["kind"] == kind and event["step"] == step for event in events)

    def notes(self) -> list[str]:
        """What a person should know of the run, from all its sessions."""
        events = read_events(self.run.events)[0]
        return [event["message"] for event in events if event["kind"] == "note"]

    def report(self, state: str, message: str = "", step: int | None = None) -> None:
        """Append a status event.

        Args:
            state: "loading", "running" and so on.
            message: What is being done.
            step: Default: where this session began.
        """
        step = self.start.step if step is None else step
        log.info("%s: %s, step %d of %d; %s", self.run.path.name, state, step, self.steps, message)
        self.log.append("status", state=state, step=step, message=message)

    def poll(self) -> None:
        """End the session here if the run was asked to stop; else take the threads that are free.

        Raises:
            Interrupted: If it was.
        """
        if self.stop_requested():
            raise Interrupted
        self.threads.adjust(self.start.step)
