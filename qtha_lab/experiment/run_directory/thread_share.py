"""How many CPU threads a run may take now: its share among the runs at work, as far as the machine is idle.

Two threads on a core that somebody else uses wait for each other at every operation, and are slower than one.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from qtha_lab.experiment.run_directory.queue import computing, n_cores

WINDOW_SECONDS = 0.5
ROUNDING = 0.25  # of a core that may be busy with something small


class FreeThreads:
    """Threads for a run that holds a slot: at first one, then what was free since it was last asked.

    Args:
        folder: Where runs queue (`slots.shared_folder`).
        own: Slots that the run holds.
    """

    def __init__(self, folder: Path, own: int = 1) -> None:
        self.folder, self.own, self.count = folder, own, 1
        self._before = _clocks()

    def __call__(self) -> int:
        """The number now; looked at anew at most twice a second."""
        if time.monotonic() - self._before[0] < WINDOW_SECONDS:  # asked at every step
            return self.count
        clocks = _clocks()
        seconds, idle, ours = (now - then for now, then in zip(clocks, self._before, strict=True))
        self._before = clocks
        free = int((idle + ours) / seconds + ROUNDING)
        self.count = max(1, min(share(self.folder, self.own), free))
        return self.count


def share(folder: Path, own: int = 1) -> int:
    """The cores shared among the slots that are held now, as far as they are those of one run.

    Args:
        folder: Where runs queue.
        own: Slots of that run.
    """
    return max(1, n_cores() * own // max(own, computing(folder)))


def _clocks() -> tuple[float, float, float]:
    """Seconds of the clock, of all cores without work, and of this process's work."""
    import psutil

    times = psutil.cpu_times(percpu=True)
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(len(times))
    idle = sum(times[core].idle for core in allowed if core < len(times))
    return time.monotonic(), idle, time.process_time()
