"""Conditions of a measurement (machine, commit, date, load), and the peak memory of a process."""

import ctypes
import datetime
import subprocess
import sys
from pathlib import Path
from typing import Any

from qtha_lab.core import paths

BUSY = 0.5  # load average from which times are doubtful


def conditions() -> dict[str, Any]:
    """Return the machine with its load, the commit and the date; call it before measuring."""
    return {"machine": machine(), "commit": commit(), "date": datetime.date.today().isoformat()}


def machine() -> dict[str, Any]:
    """Return the load, threads, memory, processor, cores and versions on which times depend."""
    import psutil
    import torch

    from qtha_lab.training.summary import environment_facts

    return {
        "load_before": round(psutil.getloadavg()[0], 1),
        "torch_threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        **environment_facts(),
    }


def load_text(load: float) -> str:
    """Return the load before a bench as text, with a warning if times are doubtful.

    Example:
        >>> load_text(0.3), load_text(2.5)
        ('load before 0.3', 'load before 2.5: the machine was busy')
    """
    return f"load before {load:.1f}" + ": the machine was busy" * (load > BUSY)


def commit() -> str | None:
    """Return the commit of the checkout, with "+" if tracked files outside docs/ differ from it."""
    changed = _git("status", "--porcelain", "-uno", "--", ":/", ":(top,exclude)docs")
    head = _git("rev-parse", "HEAD")
    return head and head + "+" * bool(changed)


def short(commit: str | None) -> str:
    """Return the first seven letters of a commit and its "+".

    Example:
        >>> short("9ad3643f6ff743" + "+"), short(None)
        ('9ad3643+', 'unknown')
    """
    return commit[:7] + "+" * commit.endswith("+") if commit else "unknown"


def _git(*words: str) -> str | None:
    command = ["git", "-C", str(paths.CHECKOUT), *words]
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return process.stdout.strip() if process.returncode == 0 else None


def forget_peak_memory(process: int | str = "self") -> None:
    """Reset the high-water mark of resident memory (Linux) after freeing our own heap."""
    if sys.platform == "linux":
        if process == "self":
            ctypes.CDLL(None).malloc_trim(0)
        Path(f"/proc/{process}/clear_refs").write_text("5")


def peak_memory_bytes(process: int | str = "self") -> int | None:
    """Return the high-water mark since `forget_peak_memory`; None where it is unknown."""
    return _status(process, "VmHWM")


def memory_bytes(process: int | str = "self") -> int | None:
    """Return the resident memory; None where it is unknown."""
    return _status(process, "VmRSS")


def _status(process: int | str, field: str) -> int | None:
    if sys.platform != "linux":
        return None
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024
