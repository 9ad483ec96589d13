"""Number of free CPU threads for a run, from its share and the idle cores.

Two threads on a core that another process uses wait for each other at every operation. They are
slower than one thread.
"""

from __future__ import annotations

import time
from pathlib import Path

from qtha_lab.core.processes import allowed_cores
from qtha_lab.experiment.run_directory.queue import computing, n_cores

WINDOW_SECONDS = 0.5
ROUNDING = 0.25  # fraction of a core that small tasks may use


class FreeThreads:
    """Number of free threads for a run that holds a slot.

    Starts at 1, then follows the idle time since the last measurement.

    Args:
        folder: Folder in which runs queue (`queue.shared_folder`).
        own: Number of slots that the run holds.
    """

    def __init__(self, folder: Path, own: int = 1) -> None:
        self.folder, self.own, self.count = folder, own, 1
        self._before = _clocks()

    def __call__(self) -> int:
        """Return the current number; measured at most once per `WINDOW_SECONDS`."""
        if time.monotonic() - self._before[0] < WINDOW_SECONDS:  # called at every step
            return self.count
        clocks = _clocks()
        seconds, idle, ours = (now - then for now, then in zip(clocks, self._before, strict=True))
        self._before = clocks
        free = int((idle + ours) / seconds + ROUNDING)
        self.count = max(1, min(share(self.folder, self.own), free))
        return self.count


def share(folder: Path, own: int = 1) -> int:
    """Compute a run's share of the cores among the slots held now."""
    return max(1, n_cores() * own // max(own, computing(folder)))


def _clocks() -> tuple[float, float, float]:
    """Return clock, idle time of all cores and this process's CPU time, in seconds."""
    import psutil

    times = psutil.cpu_times(percpu=True)
    idle = sum(times[core].idle for core in allowed_cores() if core < len(times))
    return time.monotonic(), idle, time.process_time()
