"""Distributed training: the first process decides, the other processes follow.

All processes load the same objects and take their share of every batch. The followers write only
the state of their random generators.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from transformers import TrainerCallback

from qtha_lab.core.io import scratch_folder
from qtha_lab.experiment.run_directory import RunDir, checkpoints
from qtha_lab.experiment.run_directory.events import EventLog
from qtha_lab.training.evaluation import Interrupted
from qtha_lab.training.loop import make_trainer
from qtha_lab.training.process_group import ProcessGroup
from qtha_lab.training.resume import ResumePoint
from qtha_lab.training.session import Session
from qtha_lab.training.setup import load_session
from qtha_lab.training.threads import Threads


def together(session: Session) -> Session:
    """Join the process group and return the session with its group.

    Blocks until all processes have loaded. A single process joins no group.
    """
    group = ProcessGroup.join(session.training.processes)
    group.agree(session.start.step)
    return dataclasses.replace(session, group=group)


def assist(run: RunDir, threads: int) -> None:
    """Run a follower process: take this process's share of the run's steps until training ends."""
    with scratch_folder() as folder:  # the first process writes the run's events
        log = EventLog(Path(folder) / "events.jsonl")
        _take_steps(run, threads, log)
        log.close()


def _take_steps(run: RunDir, threads: int, log: EventLog) -> None:
    alone = Session(
        run, log, _never, Threads(threads, lambda: threads, log), ResumePoint(None, 0), ()
    )
    alone.threads.adjust(0)
    loaded = load_session(alone)
    group = ProcessGroup.join(alone.training.processes)
    step = group.agree(0)
    checkpoint = checkpoints.place(run.checkpoints, step) if step else None
    session = dataclasses.replace(alone, group=group, start=ResumePoint(checkpoint, step))
    trainer = make_trainer(session, loaded)
    trainer.add_callback(Follow(group))
    if step < session.steps:
        try:
            trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
        except Interrupted:  # before the first step
            return


class Follow(TrainerCallback):
    """Callback that stops and saves as the first process decides.

    See `run_trainer.TrainingMonitor`.

    Args:
        group: Process group of the run.
    """

    def __init__(self, group: ProcessGroup) -> None:
        self.group = group

    def on_train_begin(self, args, state, control, **kwargs):
        """Wait for the first evaluation of the first process.

        Raises:
            Interrupted: If training ends at that evaluation.
        """
        if not self.group.agree(True):
            raise Interrupted

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Receive the first process's decision to stop and to save, after each step."""
        if logs is not None and "loss" in logs:
            verdict = self.group.agree((False, False))
            control.should_training_stop, control.should_save = verdict

    def on_save(self, args, state, control, **kwargs):
        """Wait at the barrier after this process has saved its state."""
        self.group.wait()


def _never() -> bool:
    """Return False: only the first process checks for stop requests."""
    return False
