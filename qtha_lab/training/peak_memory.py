"""The most memory that training takes: the model's weights and all that comes and goes beside them.

Counted from the end of loading, so that libraries, and how a worker was started, are no part of it.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import resource
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from qtha_lab.core.io import read

log = logging.getLogger(__name__)
STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """The peak from here on.

    Args:
        model: As loaded, before its first step.
    """

    def __init__(self, model: nn.Module) -> None:
        gc.collect()
        # what loading freed would be used again before the system is asked for more
        if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
            trim(0)
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        _forget_peak()
        self._weights = sum(map(stored_bytes, (*model.parameters(), *model.buffers())))
        self._resident, self._mapped = resident_bytes(), mapped_bytes()

    def bytes(self) -> int:
        """The peak so far; on CUDA that of its allocator."""
        if torch.cuda.is_available():
            return torch.cuda.max_memory_allocated()
        return self._beside_libraries(high_water_bytes())

    def now(self) -> int:
        """Bytes at this moment, counted as the peak is."""
        if torch.cuda.is_available():
            return torch.cuda.memory_allocated()
        return self._beside_libraries(resident_bytes())

    def _beside_libraries(self, resident: int) -> int:
        # a forked process maps its libraries' pages anew as it comes to them
        more = resident - self._resident - (mapped_bytes() - self._mapped)
        return self._weights + max(0, more)


def stored_bytes(tensor: Tensor) -> int:
    """What a tensor takes; of a quantised one what its parts take."""
    flatten = getattr(tensor, "__tensor_flatten__", None)
    if flatten is None:
        return tensor.nbytes
    names, _ = flatten()
    return sum(stored_bytes(getattr(tensor, name)) for name in names)


def resident_bytes() -> int:
    """Resident memory now."""
    import psutil

    return psutil.Process().memory_info().rss


def _forget_peak() -> None:
    """Begin a new high-water mark, where the system has that."""
    try:
        FORGET.write_text("5")
    except OSError as reason:
        log.info("peak memory is that of the whole process: %s", reason)


def mapped_bytes() -> int:
    """Resident pages of files, libraries most of all; 0 where the system does not tell."""
    return _status("RssFile") or 0


def high_water_bytes() -> int:
    """The high-water mark of resident memory."""
    unit = 1 if sys.platform == "darwin" else 1024
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _status(field: str) -> int | None:
    if not STATUS.exists():
        return None
    lines = read(STATUS).splitlines()
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(field)), None)
