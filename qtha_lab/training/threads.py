"""As many CPU threads as are free, decided again as other runs come and go; the numbers stay the same bits.

They do in float32 on Intel's processors: oneMKL promises products that do not depend on the count in its
strict mode (`worker.use_threads`), torch's row-wise operations are shared out by rows, and our circuits'
sums have fixed parts. Elsewhere nobody promises it, so a run keeps the share that it would have beside others.

Source:
    Intel oneMKL developer guide, "Obtaining numerically reproducible results": strict CNR mode.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch

from qtha_lab.experiment import Experiment
from qtha_lab.rundir.events import EventLog


class Threads:
    """How many threads a run computes with now.

    Args:
        least: What it has beside as many runs as there are slots for.
        free: How many it may take now, never fewer.
        log: Takes an event at the start and at every change.

    Attributes:
        count: Threads now; 0 before the first `adjust`.
    """

    def __init__(self, least: int, free: Callable[[], int], log: EventLog) -> None:
        self.least, self.free, self.log, self.count = least, free, log, 0

    def adjust(self, step: int) -> None:
        """Take what is free; between two operations only."""
        count = max(self.least, self.free())
        if count != self.count:
            torch.set_num_threads(count)
            self.count = count
            self.log.append("threads", step=step, count=count)


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
    return description.exists() and "GenuineIntel" in description.read_text()
