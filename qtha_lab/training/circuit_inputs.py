"""Circuit inputs of an adapter, recorded at each evaluation on a few training rows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import asdict

from transformers import TrainerCallback

from qtha_lab.analysis.updates.activations import bottlenecks
from qtha_lab.training.optional_measurement import optional_measurement
from qtha_lab.training.session import Session
from qtha_lab.training.setup import Loaded

ROWS = 16
log = logging.getLogger(__name__)


def record_bottlenecks(session: Session, loaded: Loaded, step: int) -> None:
    """Append a "bottleneck" event for the current model.

    Does nothing if the method has neither a circuit nor a control in its place.

    Args:
        session: Session of the run.
        loaded: Model and its rows.
        step: Current step of the model.
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
    """Callback that records a "bottleneck" event after each evaluation during training.

    The events of the first and last step are recorded by `train` and `fine_tune`.

    Args:
        record: Appends the event of a step.
        evaluated: Steps that were evaluated; the collection grows during training.
    """

    def __init__(self, record: Callable[[int], None], evaluated: Collection[int]) -> None:
        self.record, self.evaluated = record, evaluated

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Record the step if it was just evaluated and training continues.

        `Watch`, an earlier callback, evaluates.
        """
        goes_on = not control.should_training_stop
        if logs is not None and "loss" in logs and state.global_step in self.evaluated and goes_on:
            self.record(state.global_step)
