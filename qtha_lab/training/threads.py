"""As many CPU threads as are free, decided again as other runs come and go; the numbers stay the same bits.

They do in float32 on Intel's processors: oneMKL promises products that do not depend on the count in its
strict mode (`worker.use_threads`), torch's row-wise operations are shared out by rows, and our circuits'
sums have fixed parts. Elsewhere nobody promises it, so a run keeps the share that it would have beside others.

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
    """How many threads a run computes with now, and whether other runs compute beside it.

    Args:
        least: What it has beside as many runs as there are slots for.
        free: How many it may take now, never fewer.
        log: Takes an event at the start and at every change.
        beside: Whether other runs compute now; None where that is not known. Looked at twice a second at most.

    Attributes:
        count: Threads now; 0 before the first `adjust`.
        side_by_side: Whether others computed when that was looked at last.
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
        """Take what is free; between two operations only."""
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
    """Whether what an experiment computes here does not depend on the number of threads."""
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
