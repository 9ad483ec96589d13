"""One fine-tune from an experiment to an adapter and a summary, in this process.

A `Session` is loaded, trained and written. The same seed gives the same initialisation of the
adapter and the same row order for every method. On CPU, a resumed run equals an uninterrupted run
bit for bit. Base weights are never written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from transformers import TrainerCallback

from qtha_lab import adapters
from qtha_lab.core.io import remove, sync_tree
from qtha_lab.experiment.run_directory import RunDir, checkpoints, disk
from qtha_lab.experiment.run_directory.events import EventLog
from qtha_lab.experiment.run_directory.files import check_disk_space
from qtha_lab.training import artifacts as written
from qtha_lab.training.circuit_inputs import record_bottlenecks
from qtha_lab.training.distributed import together
from qtha_lab.training.evaluation import Interrupted
from qtha_lab.training.loop import Trained, train
from qtha_lab.training.peak_memory import PeakMemory
from qtha_lab.training.resume import newest_complete
from qtha_lab.training.scores import load_scorers
from qtha_lab.training.session import Session
from qtha_lab.training.setup import Loaded, load_session
from qtha_lab.training.test_evaluation import write_test
from qtha_lab.training.threads import Threads, same_bits


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

    Args:
        run: Run directory; may hold checkpoints of earlier sessions.
        log: Event log of the run.
        stop_requested: Polled at every step and between the parts of the run.
        threads: Number of CPU threads.
        free: Current number of free threads; used only if no result depends on the number of
            threads.
        queue: Folder of the memory queue; None disables the wait for memory.
        beside: Returns True while other runs compute; None if unknown.
        loader: Loads the model and rows; a caller with many runs on one model can pass loaded
            objects.
        callbacks: Additional Trainer callbacks, called before the package's own.

    Returns:
        The state ("finished", "stopped" or "diverged"), the step and a message.

    Raises:
        Refusal: If no checkpoint is intact, a plugin was changed or the disk is full.
    """
    alone = run.experiment.training.processes == 1
    free = free if free is not None and alone and same_bits(run.experiment) else lambda: threads
    session = Session.begin(run, log, stop_requested, Threads(threads, free, log, beside), queue)
    session.threads.adjust(session.start.step)
    step = session.start.step
    try:
        loaded = loader(session)
        session = together(session)
        written.write_environment(session, loaded)
        if session.training.evaluation.generate_rows:
            load_scorers()
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
    written.write_answers(session, loaded, trained.step)
    written.write_adapter(session, loaded)
    ended = {}
    if (best_step := early.best_step) is not None:
        ended = {"best_step": best_step, "ended_early": trained.step < session.steps}
    written.write_summary(session, loaded, trained.memory, "finished", ended)
    written.write_model_card(session, loaded)
    sync_tree(session.run.adapter)
    early.clear()
    return TrainingResult("finished", trained.step, "; ".join(session.notes()))


def _diverged(session: Session, loaded: Loaded, trained: Trained) -> TrainingResult:
    """Delete the checkpoint with diverged weights, and return the outcome with advice."""
    folder, watch = session.run.checkpoints, trained.watch
    if watch.ruined is not None:
        remove(checkpoints.place(folder, watch.ruined), session.run.path, ignore_errors=True)
    written.write_summary(session, loaded, trained.memory, "diverged")
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
