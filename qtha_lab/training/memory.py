"""Memory of a training: the wait until it fits beside other runs, and its peak.

The peak is the model's weights plus all later allocations. Counting starts after loading, so
libraries and the start method of the worker do not count.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from qtha_lab.core import processes
from qtha_lab.core.io import read
from qtha_lab.experiment import memory
from qtha_lab.experiment.run_directory.queue import Queue
from qtha_lab.training.evaluation import Interrupted

if TYPE_CHECKING:
    from qtha_lab.training.session import Session

log = logging.getLogger(__name__)


def wait_for_memory(session: Session, needed: Mapping[str, int]) -> None:
    """Wait for memory in first-come order, and reserve it until this process ends.

    Raises:
        Interrupted: If a stop is requested during the wait.
    """
    folder, is_reported = session.queue, False
    if folder is None:
        return

    def take() -> int | None:
        nonlocal is_reported
        why = memory.lacking(needed, processes.reservations(folder))
        if why is None:
            return processes.reserve(folder, sum(needed.values()))
        if not is_reported:
            session.report("queued", why)
        is_reported = True
        return None

    queue = Queue(folder / processes.FOLDER)
    if queue.wait_in_line(session.run.path.name, take, session.stop_requested) is None:
        raise Interrupted


STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """Peak memory since the object was created.

    Args:
        model: Loaded model, before its first step.
    """

    def __init__(self, model: nn.Module) -> None:
        gc.collect()
        # return freed pages to the system; later allocations would reuse them and not be counted
        if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
            trim(0)
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        _forget_peak()
        self._weights = sum(map(stored_bytes, (*model.parameters(), *model.buffers())))
        self._resident, self._mapped = resident_bytes(), mapped_bytes()
        self._earlier = 0

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Exclude the memory that the block adds, such as that of a library."""
        self._earlier, before = self.bytes(), self.now()
        yield
        self._resident += self.now() - before

    def bytes(self) -> int:
        """Return the peak so far in bytes; on CUDA, the allocator's peak."""
        if torch.cuda.is_available():
            return torch.cuda.max_memory_allocated()
        return max(self._earlier, self._beside_libraries(high_water_bytes()))

    def now(self) -> int:
        """Return the current memory in bytes, counted as in `bytes`."""
        if torch.cuda.is_available():
            return torch.cuda.memory_allocated()
        return self._beside_libraries(resident_bytes())

    def _beside_libraries(self, resident: int) -> int:
        # exclude library pages, which a forked process maps on first use
        more = resident - self._resident - (mapped_bytes() - self._mapped)
        return self._weights + max(0, more)


def stored_bytes(tensor: Tensor) -> int:
    """Return the stored bytes of a tensor, summed over a quantised tensor's parts."""
    flatten = getattr(tensor, "__tensor_flatten__", None)
    if flatten is None:
        return tensor.nbytes
    names, _ = flatten()
    return sum(stored_bytes(getattr(tensor, name)) for name in names)


def resident_bytes() -> int:
    """Return the resident memory of this process in bytes."""
    import psutil

    return psutil.Process().memory_info().rss


def _forget_peak() -> None:
    """Reset the high-water mark of resident memory, if the system supports a reset."""
    try:
        FORGET.write_text("5")
    except OSError as reason:
        log.info("peak memory is that of the whole process: %s", reason)


def mapped_bytes() -> int:
    """Return the resident bytes of mapped files, mainly libraries; 0 if the system reports none."""
    return _status("RssFile") or 0


def high_water_bytes() -> int:
    """Return the high-water mark of resident memory in bytes."""
    if stated := _status("VmHWM"):
        return stated
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _status(field: str) -> int | None:
    if not STATUS.exists():
        return None
    lines = read(STATUS).splitlines()
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(field)), None)
