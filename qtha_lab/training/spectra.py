"""Singular values of the weight update, recorded during training.

Recording takes at most 2 % of the training time. `qtha_lab.analysis.live.snapshot` defines the
content of a record.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from transformers import TrainerCallback

from qtha_lab.analysis.live import snapshot
from qtha_lab.experiment.run_directory.events import EventLog
from qtha_lab.training.optional_measurement import optional_measurement

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
