"""One fine-tune, from an experiment to an adapter and a summary.

A `Session` is loaded, trained and written. The same seed gives the same initialisation of the
adapter and the same row order for every method. On CPU, a resumed run equals an uninterrupted run
bit for bit. Base weights are never written. The first of several processes decides; the followers
take their share of every batch and write only the state of their random generators.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from transformers import TrainerCallback

from qtha_lab import adapters
from qtha_lab.core import processes
from qtha_lab.core.io import remove, scratch_folder, sync_tree
from qtha_lab.experiment.run_directory import RunDir, checkpoints, disk
from qtha_lab.experiment.run_directory.events import EventLog
from qtha_lab.experiment.run_directory.files import check_disk_space
from qtha_lab.training import artifacts
from qtha_lab.training.callbacks import record_bottlenecks
from qtha_lab.training.evaluation import Interrupted
from qtha_lab.training.loop import Trained, make_trainer, train
from qtha_lab.training.memory import PeakMemory
from qtha_lab.training.processes import ProcessGroup, Threads, same_bits
from qtha_lab.training.resume import ResumePoint, newest_complete
from qtha_lab.training.scores import load_scorers
from qtha_lab.training.session import Session
from qtha_lab.training.setup import Loaded, load_session
from qtha_lab.training.test_evaluation import write_test


class TrainingResult(NamedTuple):
    """End state of a fine-tune, its step and a message."""

    state: str
    step: int
    message: str = ""


def fine_tune(
    run: RunDir,
    log: EventLog,
    stop_requested: Callable[[], bool],
    threads: int,
    free: Callable[[], int] | None = None,
    *,
    queue: Path | None = None,
    beside: Callable[[], bool] | None = None,
    loader: Callable[[Session], Loaded] = load_session,
    callbacks: Sequence[TrainerCallback] = (),
) -> TrainingResult:
    """Train a run from its current step until training ends or a stop is requested.

    Returns:
        The state ("finished", "stopped" or "diverged"), the step and a message.

    Raises:
        Refusal: If no checkpoint is intact, a plugin was changed or the disk is full.
    """
    alone = processes.world_size() == 1
    free = free if free is not None and alone and same_bits(run.experiment) else lambda: threads
    session = Session.begin(run, log, stop_requested, Threads(threads, free, log, beside), queue)
    session.threads.adjust(session.start.step)
    step = session.start.step
    try:
        loaded = loader(session)
        session = together(session, loaded)
        artifacts.write_environment(session, loaded)
        trained = train(session, loaded, PeakMemory(loaded.model), callbacks)
        step = trained.step
        return _end(session, loaded, trained)
    except Interrupted:
        return TrainingResult("stopped", step, f"stopped at step {step} of {session.steps}")
    except Exception as error:
        # for a full disk, torch reports file positions and safetensors an error number
        if run.path.exists():
            if disk.is_full(error):
                raise disk.full(run.path) from error
            check_disk_space(run.path, checkpoints.disk_space_needed(run.checkpoints))
        raise


def _end(session: Session, loaded: Loaded, trained: Trained) -> TrainingResult:
    """Write the files that belong to the end state of training."""
    if trained.watch.diverged:
        return _diverged(session, loaded, trained)
    early = trained.watch.early
    if trained.step < session.steps and not early.is_over:
        raise Interrupted
    if not session.is_recorded("eval", trained.step):
        trained.watch.measure(trained.step)
    early.put_back()
    if sentence := early.sentence(trained.step):
        session.note(sentence, trained.step)
    autocast = trained.watch.trainer.accelerator.autocast
    if not session.is_recorded("bottleneck", trained.step):
        with autocast():
            record_bottlenecks(session, loaded, trained.step)
    write_test(session, loaded, trained.step, lambda: autocast())
    if session.training.generate_rows:
        with trained.memory.paused():
            load_scorers()
    artifacts.write_answers(session, loaded, trained.step)
    artifacts.write_adapter(session, loaded)
    ended = {}
    if (best_step := early.best_step) is not None:
        ended = {"best_step": best_step, "ended_early": trained.step < session.steps}
    artifacts.write_summary(session, loaded, trained.memory, "finished", ended)
    artifacts.write_model_card(session, loaded)
    sync_tree(session.run.adapter)
    early.clear()
    return TrainingResult("finished", trained.step, "; ".join(session.notes()))


def _diverged(session: Session, loaded: Loaded, trained: Trained) -> TrainingResult:
    """Delete the checkpoint with diverged weights, and return the outcome with advice."""
    folder, watch = session.run.checkpoints, trained.watch
    if watch.ruined is not None:
        remove(checkpoints.place(folder, watch.ruined), session.run.path, ignore_errors=True)
    artifacts.write_summary(session, loaded, trained.memory, "diverged")
    _, good, _ = newest_complete(folder)
    session.log.append("checkpoint", step=good)
    last = f"checkpoint {good} is the last good one" if good else "no checkpoint was made before"
    method = session.experiment.method
    usual = adapters.get_method(method.name).learning_rate_of(method.options)
    message = f"{watch.diverged}; {last}; {advice(session.learning_rate, usual)}"
    return TrainingResult("diverged", trained.step, message)


def advice(rate: float, usual: float) -> str:
    """Suggest a learning rate after divergence: the method's default, or a lower rate.

    Example:
        >>> advice(100_000.0, usual=0.003)
        "try a learning rate of 0.003, the method's default"
        >>> advice(0.003, usual=0.003)
        'a learning rate below 0.003 may help'
    """
    if rate > usual:
        return f"try a learning rate of {usual:g}, the method's default"
    return f"a learning rate below {rate:g} may help"


def together(session: Session, loaded: Loaded) -> Session:
    """Join the process group and return the session with its group.

    Blocks until all processes have loaded. A single process joins no group.
    """
    group = ProcessGroup.join(session.training, is_seq2seq=loaded.task.is_seq2seq)
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
    group = ProcessGroup.join(alone.training, is_seq2seq=loaded.task.is_seq2seq)
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
