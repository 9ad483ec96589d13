"""What the circuits of an adapter are fed, recorded at the start and the end of a run on a few training rows."""

from __future__ import annotations

import logging
from dataclasses import asdict

from qtha_lab.analysis.updates.bottlenecks import bottlenecks
from qtha_lab.errors import Refusal
from qtha_lab.training.loaded import Loaded
from qtha_lab.training.session import Session

ROWS = 16
log = logging.getLogger(__name__)


def record_bottlenecks(session: Session, loaded: Loaded, step: int) -> None:
    """Append a "bottleneck" event for the model as it is, where its method has a circuit or a stand-in.

    Args:
        session: Whose run it is; a step that is recorded already is left as it is.
        loaded: The model and its rows.
        step: That the model is at.
    """
    if session.is_recorded("bottleneck", step):
        return
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
