"""Callbacks of the Trainer: spectra, circuit inputs, idle layers and experiment trackers.

Recording singular values takes at most 2 % of the training time.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Collection
from dataclasses import asdict

from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import TrainerCallback
from transformers.integrations import integration_utils

from qtha_lab.analysis.live import snapshot
from qtha_lab.analysis.updates.activations import bottlenecks
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.events import EventLog
from qtha_lab.training.session import Session, optional_measurement
from qtha_lab.training.setup import Loaded

log = logging.getLogger(__name__)

SHARE = 0.02  # maximum fraction of the training time; a record beyond it is postponed


class RecordSpectra(TrainerCallback):
    """Callback that records a "spectrum" event periodically and at the first and last step.

    Args:
        log: Event log.
        every: Steps between records; 0 records nothing.
        recorded: Steps that an earlier session of the run recorded.
        note: Receives a sentence if a record fails.
    """

    def __init__(
        self, log: EventLog, every: int, recorded: set[int], note: Callable[[str], None]
    ) -> None:
        self.log, self.every, self.recorded, self.note = log, every, set(recorded), note
        self._began, self._spent, self._last = time.perf_counter(), 0.0, 0.0

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        """Start the timer for the limit `SHARE`, and record the first step."""
        self._began = time.perf_counter()
        self._record(state.global_step, model)

    def on_step_end(self, args, state, control, model=None, **kwargs):
        """Record a due step within the time `SHARE`, and always the last step."""
        step = state.global_step
        last = step >= state.max_steps
        due = self.every and step % self.every == 0
        share = (self._spent + self._last) / (time.perf_counter() - self._began)
        if last or (due and share <= SHARE):
            self._record(step, model)

    def _record(self, step: int, model) -> None:
        if not self.every or step in self.recorded:
            return
        start = time.perf_counter()
        with optional_measurement("spectra of the update", self.note):
            spectra = snapshot(model)
            if spectra["layers"]:
                self.log.append("spectrum", step=step, **spectra)
        self.recorded.add(step)
        self._last = time.perf_counter() - start
        log.debug("spectrum of step %d in %.3f s", step, self._last)
        self._spent += self._last


ROWS = 16


def record_bottlenecks(session: Session, loaded: Loaded, step: int) -> None:
    """Append a "bottleneck" event for the current model.

    Does nothing if the method has neither a circuit nor a control in its place.
    """
    start = time.perf_counter()
    batch = loaded.rows.collate(loaded.training_rows[:ROWS])
    device = next(loaded.model.parameters()).device
    facts = {}
    with optional_measurement("measurements of circuit inputs", session.note):
        facts = bottlenecks(loaded.model, {n: t.to(device) for n, t in batch.items()})
    if facts:
        layers = {name: asdict(fact) for name, fact in facts.items()}
        session.log.append("bottleneck", step=step, layers=layers)
        log.debug("bottlenecks of step %d in %.3f s", step, time.perf_counter() - start)


class RecordBottlenecks(TrainerCallback):
    """Callback that records a "bottleneck" event at the start and after each evaluation.

    The event of the last step is recorded by `fine_tune`. That of the start comes after the first
    evaluation, which a page shows sooner.

    Args:
        record: Appends the event of a step.
        evaluated: Steps that were evaluated; the collection grows during training.
        is_started: Whether an earlier session of the run recorded the start.
    """

    def __init__(
        self, record: Callable[[int], None], evaluated: Collection[int], *, is_started: bool
    ) -> None:
        self.record, self.evaluated, self.is_started = record, evaluated, is_started

    def on_train_begin(self, args, state, control, **kwargs):
        """Record the start."""
        if state.global_step == 0 and not self.is_started:
            self.record(0)

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Record the step if it was just evaluated and training continues.

        `Watch`, an earlier callback, evaluates.
        """
        goes_on = not control.should_training_stop
        if logs is not None and "loss" in logs and state.global_step in self.evaluated and goes_on:
            self.record(state.global_step)


MOST = 4  # names in the note


def idle_layers(model: nn.Module) -> list[str]:
    """Return the adapted layers none of whose trained tensors has a gradient."""
    idle = []
    for name, module in model.named_modules():
        if isinstance(module, BaseTunerLayer) and isinstance(module, nn.Module):
            trained = [p for p in module.parameters() if p.requires_grad]
            if trained and all(p.grad is None for p in trained):
                idle.append(name.removeprefix("base_model.model."))
    return idle


class NameIdleLayers(TrainerCallback):
    """Callback that notes idle layers at the first step of a run.

    Args:
        note: Receives the sentence.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self.note = note

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        """Note the layers without a gradient, before the first update."""
        if state.global_step == 0 and model is not None and (idle := idle_layers(model)):
            more = f" and {len(idle) - MOST} more" if len(idle) > MOST else ""
            names = ", ".join(idle[:MOST])
            self.note(f"adapted layers without a gradient in the first step: {names}{more}")


def make_tracker(run: RunDir, report_to: str, step: int) -> list[TrainerCallback]:
    """Return the callback of a tracker in a list; the list is empty for "none"."""
    if report_to == "none":
        return []
    if report_to == "tensorboard":
        from torch.utils.tensorboard.writer import SummaryWriter

        writer = SummaryWriter(str(run.path / "tensorboard"), purge_step=step + 1 if step else None)
        return [integration_utils.TensorBoardCallback(writer)]
    name = run.path.name
    for variable, value in {
        "WANDB_DIR": str(run.path),
        "WANDB_PROJECT": "qtha-lab",
        "WANDB_RUN_ID": name,
        "WANDB_NAME": name,
        "WANDB_RESUME": "allow",
        "MLFLOW_EXPERIMENT_NAME": "qtha-lab",
    }.items():
        os.environ.setdefault(variable, value)
    return [integration_utils.INTEGRATION_TO_CALLBACK[report_to]()]
