"""CPU threads and CUDA GPUs of a run.

Two threads on a core that another process uses wait for each other at every operation. They are
slower than one thread.

Calls no CUDA library, because a worker must select its GPU before it loads one.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import re
import socket
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


log = logging.getLogger(__name__)

DEVICES = Path("/dev")
VISIBLE = "CUDA_VISIBLE_DEVICES"


def cards() -> list[str]:
    """List the GPUs that torch would find, as `CUDA_VISIBLE_DEVICES` names them.

    Empty if torch was built without CUDA.
    """
    names = [file.name for file in DEVICES.glob("nvidia*")]
    count = sum(re.fullmatch(r"nvidia\d+", name) is not None for name in names)
    if not count or not _torch_has_cuda():
        return []
    chosen = os.environ.get(VISIBLE)
    if chosen is None:
        return [str(number) for number in range(count)]
    return [name for part in chosen.split(",") if (name := part.strip()) not in ("", "-1")]


def visible_gpus(folder: Path) -> dict[Path, str]:
    """Return the lock files of this machine's GPUs, each with the GPU's name."""
    host = socket.gethostname()
    return {folder / f"card-{host}-{name.replace('/', '-')}": name for name in cards()}


def use(names: list[str]) -> None:
    """Restrict this process and its children to these GPUs; call before CUDA is used."""
    os.environ[VISIBLE] = ",".join(names)


def _torch_has_cuda() -> bool:
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError as reason:
        log.debug("whether torch has CUDA is not known: %s", reason)
        return False
    return not version.endswith(("+cpu", "+xpu")) and "+rocm" not in version
