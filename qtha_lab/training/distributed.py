"""A training whose steps several processes take together: the worker decides, the others do as it does.

They load the same, take their share of every batch, and write nothing but the state of their random numbers.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

from transformers import TrainerCallback

from qtha_lab.experiment.run_directory import RunDir, checkpoints
from qtha_lab.experiment.run_directory.events import EventLog
from qtha_lab.training.evaluation import Interrupted
from qtha_lab.training.loop import make_trainer
from qtha_lab.training.process_group import Group
from qtha_lab.training.resume import Start
from qtha_lab.training.session import Session
from qtha_lab.training.setup import load
from qtha_lab.training.threads import Threads


def together(session: Session) -> Session:
    """The session of the worker, once all processes of its training have loaded; of one process, as it is."""
    group = Group.join(session.training.processes)
    group.agree(session.start.step)
    return dataclasses.replace(session, group=group)


def assist(run: RunDir, threads: int) -> None:
    """Take this process's share of a run's steps, from where its worker begins to where that ends.

    Args:
        run: Its directory.
        threads: CPU threads to compute with.
    """
    with tempfile.TemporaryDirectory() as folder:  # the worker says it all
        log = EventLog(Path(folder) / "events.jsonl")
        _take_steps(run, threads, log)
        log.close()


def _take_steps(run: RunDir, threads: int, log: EventLog) -> None:
    alone = Session(run, log, _never, Threads(threads, lambda: threads, log), Start(None, 0), ())
    alone.threads.adjust(0)
    loaded = load(alone)
    group = Group.join(alone.training.processes)
    step = group.agree(0)
    checkpoint = checkpoints.place(run.checkpoints, step) if step else None
    session = dataclasses.replace(alone, group=group, start=Start(checkpoint, step))
    trainer = make_trainer(session, loaded)
    trainer.add_callback(Follow(group))
    if step < session.steps:
        try:
            trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
        except Interrupted:  # before the first step
            return


class Follow(TrainerCallback):
    """Goes on, stops and saves where the first process does (see `trainer.Watch`).

    Args:
        group: It and the others.
    """

    def __init__(self, group: Group) -> None:
        self.group = group

    def on_train_begin(self, args, state, control, **kwargs):
        """Wait for the first evaluation.

        Raises:
            Interrupted: If the training ends there.
        """
        if not self.group.agree(True):
            raise Interrupted

    def on_log(self, args, state, control, logs=None, **kwargs):
        """After a step, take over whether to stop and to save."""
        if logs is not None and "loss" in logs:
            verdict = self.group.agree((False, False))
            control.should_training_stop, control.should_save = verdict

    def on_save(self, args, state, control, **kwargs):
        """Say that this process has saved what is its own."""
        self.group.wait()


def _never() -> bool:
    """Whether somebody asked for a stop; the worker is asked."""
    return False
