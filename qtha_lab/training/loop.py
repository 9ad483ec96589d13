"""Remaining optimiser steps of a run, taken by transformers' Trainer.

`run_trainer.TrainingMonitor` decides when the Trainer records, evaluates and stops.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PrinterCallback, TrainerCallback

from qtha_lab.adapters.phases import as_it_was
from qtha_lab.training.callbacks import (
    NameIdleLayers,
    RecordBottlenecks,
    RecordSpectra,
    make_tracker,
    record_bottlenecks,
)
from qtha_lab.training.early_stopping import EarlyStop, load_weights
from qtha_lab.training.evaluation import Interrupted
from qtha_lab.training.memory import PeakMemory
from qtha_lab.training.reinforce import Reward
from qtha_lab.training.run_trainer import TrainingMonitor, training_arguments
from qtha_lab.training.schedules import PhaseCallback
from qtha_lab.training.session import Session
from qtha_lab.training.setup import Loaded
from qtha_lab.training.trainer import FineTuner


@dataclass(frozen=True)
class Trained:
    """State at the end of training.

    Attributes:
        step: Number of optimiser steps in all sessions of the run.
        watch: Callback that measures the model and holds the reason of a divergence.
        memory: Peak memory of the training.
    """

    step: int
    watch: TrainingMonitor
    memory: PeakMemory


def train(
    session: Session,
    loaded: Loaded,
    memory: PeakMemory,
    callbacks: Sequence[TrainerCallback] = (),
) -> Trained:
    """Take the remaining optimiser steps.

    If none remains, load the adapter of the checkpoint into the model.

    Args:
        session: Session of the run.
        loaded: Model and rows.
        memory: Peak-memory counter, created before the first step.
        callbacks: Additional Trainer callbacks, called before the package's own.

    Raises:
        Interrupted: If a stop is requested before the first step.
    """
    trainer = make_trainer(session, loaded)
    early = EarlyStop(session.training, session.run, loaded.model, session.recorded_losses())
    watch = TrainingMonitor(
        trainer,
        loaded.model,
        session.log,
        lambda: loaded.scores(session),
        session.stop_requested,
        session.threads.adjust,
        memory.now,
        early,
        eval_every=session.training.eval_every,
        evaluated=session.recorded_steps("eval"),
        group=session.group,
    )
    spectra = RecordSpectra(
        session.log,
        session.training.spectrum_every,
        session.recorded_steps("spectrum"),
        session.note,
    )
    tracker = make_tracker(session.run, session.training.report_to, session.start.step)
    phases = session.training.phases
    phase_callback = [PhaseCallback(loaded.model, phases, session.log)] if phases else []
    sampling = [loaded.objective] if isinstance(loaded.objective, Reward) else []

    def record(step: int) -> None:
        with trainer.accelerator.autocast():
            record_bottlenecks(session, loaded, step)

    bottlenecks = RecordBottlenecks(
        record, watch.evaluated, is_started=session.is_recorded("bottleneck", 0)
    )
    every = (*callbacks, *tracker, *phase_callback, *sampling, watch, spectra, bottlenecks)
    for callback in (*every, NameIdleLayers(session.note)):
        trainer.add_callback(callback)
    session.report("running", session.start.note)
    if session.start.step >= session.steps or early.is_over:
        if session.checkpoint is not None:
            load_weights(loaded.model, session.checkpoint)
        return Trained(session.start.step, watch, memory)
    try:
        checkpoint = session.checkpoint
        with as_it_was(loaded.model):
            trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    except Interrupted:  # before the first step
        if not (watch.diverged or early.is_over):
            raise
    return Trained(trainer.state.global_step, watch, memory)


def make_trainer(session: Session, loaded: Loaded) -> FineTuner:
    """Create the Trainer of a session, without callbacks of this package."""
    arguments = training_arguments(
        session.experiment, session.learning_rate, session.run.checkpoints
    )
    trainer = FineTuner(
        head_learning_rate=session.training.head_learning_rate,
        rate_ratios=session.training.rate_ratios,
        phases=session.training.phases,
        objective=loaded.objective,
        group=session.group,
        model=loaded.model,
        args=arguments,
        train_dataset=loaded.training_rows,
        data_collator=loaded.rows.collate,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer
