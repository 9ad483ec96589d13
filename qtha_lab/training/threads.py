"""Number of CPU threads, adjusted as other runs start and end.

The results stay bit-identical in float32 on Intel processors. In strict mode
(`worker.use_threads`), oneMKL guarantees products that do not depend on the number of threads.
torch's row-wise operations are divided by rows, and the sums of our circuits have fixed parts.
Other processors give no such guarantee, so a run there uses a fixed share of the cores.

Source:
    Intel oneMKL developer guide, "Obtaining numerically reproducible results": strict CNR mode.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch

from qtha_lab.core.io import read
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory.events import EventLog
from qtha_lab.experiment.run_directory.thread_share import WINDOW_SECONDS


class Threads:
    """Current number of CPU threads of a run, with a flag for concurrent runs.

    Args:
        least: Number of threads if all slots are in use.
        free: Returns the number of threads that the run may use now.
        log: Event log; receives an event at the start and at every change.
        beside: Returns True while other runs compute; None if unknown. Called at most once per
            `WINDOW_SECONDS`.

    Attributes:
        count: Current number of threads; 0 before the first `adjust`.
        side_by_side: True if other runs computed at the latest check.
    """

    def __init__(
        self,
        least: int,
        free: Callable[[], int],
        log: EventLog,
        beside: Callable[[], bool] | None = None,
    ) -> None:
        self.least, self.free, self.log, self.count = least, free, log, 0
        self.beside, self.side_by_side, self._looked = beside, False, -math.inf

    def adjust(self, step: int) -> None:
        """Set the number of threads to that of free cores; call only between two operations."""
        count, side_by_side = max(self.least, self.free()), self._look()
        if count == self.count and side_by_side == self.side_by_side:
            return
        if count != self.count:
            torch.set_num_threads(count)
        self.count, self.side_by_side = count, side_by_side
        known = {} if self.beside is None else {"side_by_side": side_by_side}
        self.log.append("threads", step=step, count=count, **known)

    def _look(self) -> bool:
        now = time.monotonic()
        if self.beside is None or now - self._looked < WINDOW_SECONDS:
            return self.side_by_side
        self._looked = now
        return self.beside()


def same_bits(experiment: Experiment) -> bool:
    """Return True if results here are independent of the number of threads."""
    return (
        experiment.training.precision == "float32"
        and experiment.quantization == "none"
        and not torch.accelerator.is_available()
        and torch.backends.mkl.is_available()
        and os.environ.get("MKL_CBWR", "").endswith("STRICT")
        and _is_intel()
    )


def _is_intel() -> bool:
    description = Path("/proc/cpuinfo")
    return description.exists() and "GenuineIntel" in read(description)
