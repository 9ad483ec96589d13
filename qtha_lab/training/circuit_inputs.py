"""What the circuits of an adapter are fed, recorded at the evaluations of a run on a few training rows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import asdict

from transformers import TrainerCallback

from qtha_lab.analysis.updates.bottlenecks import bottlenecks
from qtha_lab.core.errors import Refusal
from qtha_lab.training.session import Session
from qtha_lab.training.setup import Loaded

ROWS = 16
log = logging.getLogger(__name__)


def record_bottlenecks(session: Session, loaded: Loaded, step: int) -> None:
    """Append a "bottleneck" event for the model as it is, where its method has a circuit or a stand-in.

    Args:
        session: Whose run it is.
        loaded: The model and its rows.
        step: That the model is at.
    """
    start = time.perf_counter()
    batch = loaded.rows.collate(loaded.training_rows[:ROWS])
    device = next(loaded.model.parameters()).device
    try:
        facts = bottlenecks(loaded.model, {n: t.to(device) for n, t in batch.items()})
    except Refusal as refused:
        log.info("bottlenecks are not recorded: %s", refused)
        return
    if facts:
        layers = {name: asdict(fact) for name, fact in facts.items()}
        session.log.append("bottleneck", step=step, layers=layers)
        log.debug("bottlenecks of step %d in %.3f s", step, time.perf_counter() - start)


class RecordBottlenecks(TrainerCallback):
    """Records after each evaluation on the way; the start and the end of a run record theirs themselves.

    Args:
        record: Appends the event of a step.
        evaluated: Steps that were evaluated; grows.
    """

    def __init__(self, record: Callable[[int], None], evaluated: Collection[int]) -> None:
        self.record, self.evaluated = record, evaluated

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Record where `Watch`, which comes before, has just evaluated and the training goes on."""
        goes_on = not control.should_training_stop
        if logs is not None and "loss" in logs and state.global_step in self.evaluated and goes_on:
            self.record(state.global_step)
