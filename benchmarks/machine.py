"""What a figure was measured on and under which load, and how much memory the process peaked at."""

import contextlib
import ctypes
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from qtha_lab.core import paths

BUSY = 0.5  # average number of running processes from which times are doubted


def conditions() -> dict[str, Any]:
    """`machine`, with its `load_before`, and `commit`: what a bench takes down before it begins."""
    return {"machine": {**machine(), "load_before": load()}, "commit": commit()}


def load() -> float:
    """The average number of running processes in the last minute."""
    import psutil

    return round(psutil.getloadavg()[0], 1)


def load_words(before: float) -> str:
    """The load before a bench, and whether its times are to be doubted.

    Example:
        >>> load_words(0.3), load_words(2.5)
        ('load before 0.3', 'load before 2.5: the machine was busy')
    """
    return f"load before {before:.1f}" + ": the machine was busy" * (before > BUSY)


def machine() -> dict[str, Any]:
    """The processor, cores, memory and versions that a figure depends on."""
    import psutil
    import torch

    return {
        "processor": processor_name(),
        "cores": psutil.cpu_count(logical=False) or os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def processor_name() -> str:
    """The processor's own name where the system tells it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def package_versions() -> dict[str, str]:
    """Versions of what the simulators are built on, where installed."""
    names = ("qtha-lab", "torch", "numba", "numpy", "pennylane", "pennylane_lightning")
    versions = {}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def commit() -> str | None:
    """The checkout's commit, with "+" if tracked files other than documents differ from it.

    None outside of one.
    """
    changed = _git("status", "--porcelain", "-uno", "--", ":/", ":(top,exclude)docs")
    at = _git("rev-parse", "HEAD")
    return at and at + "+" * bool(changed)


def short(commit: str | None) -> str:
    """A commit in seven letters; the "+" of a changed checkout stays.

    Example:
        >>> short("9ad3643f6ff743" + "+"), short(None)
        ('9ad3643+', 'unknown')
    """
    return commit[:7] + "+" * commit.endswith("+") if commit else "unknown"


def _git(*words: str) -> str | None:
    try:
        process = subprocess.run(
            ["git", "-C", paths.CHECKOUT, *words], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return process.stdout.strip() if process.returncode == 0 else None


def forget_peak_memory(process: int | str = "self") -> None:
    """Start a new high-water mark of resident memory (Linux), our own heap given back first."""
    if sys.platform == "linux":
        if process == "self":
            ctypes.CDLL(None).malloc_trim(0)
        Path(f"/proc/{process}/clear_refs").write_text("5")


def peak_memory_bytes(process: int | str = "self") -> int | None:
    """The high-water mark of resident memory since `forget_peak_memory`, None where unknown."""
    return _status(process, "VmHWM")


def memory_bytes(process: int | str = "self") -> int | None:
    """Resident memory now, None where unknown."""
    return _status(process, "VmRSS")


def _status(process: int | str, field: str) -> int | None:
    if sys.platform != "linux":
        return None
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024
