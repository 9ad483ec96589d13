"""Environment of a run: package versions, git commit and processor.

Records no environment variable and no user name.
"""

from __future__ import annotations

import importlib.metadata
import logging
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read
from qtha_lab.experiment.run_directory.queue import n_cores

log = logging.getLogger(__name__)

PACKAGES = ["qtha-lab", "torch", "transformers", "peft", "accelerate", "datasets", "safetensors"]
PACKAGES += ["pennylane", "pennylane-lightning", "numba", "numpy", "sacrebleu"]


def environment_facts() -> dict[str, Any]:
    """Return versions, git state and processor of this process."""
    return {
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "git": git_state(paths.CHECKOUT),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cores": n_cores(),
        "start": "warm" if is_preloaded() else "cold",
    }


def is_preloaded() -> bool:
    """Return True if the fork server started this process with preloaded libraries."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return getattr(spec, "name", "") == "qtha_lab.runs.fork_server.server"


def cpu_name() -> str:
    """Return the processor's name as the operating system reports it."""
    try:
        lines = read(Path("/proc/cpuinfo")).splitlines()
    except (FileNotFoundError, Refusal) as reason:
        log.debug("the processor's name is the platform's: %s", reason)
        return platform.processor() or platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return the commit of a checkout and the state of its tracked files.

    `dirty` is true if a tracked file differs from the commit. None if the folder is no git
    checkout.
    """
    if not (folder / ".git").exists():
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": bool(changed)}


def _git(folder: Path, *words: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired) as reason:
        log.debug("no state of git: %s", reason)
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
