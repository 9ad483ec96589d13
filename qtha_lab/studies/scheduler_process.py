"""Start of the scheduler process of a study, which outlives the notebook page.

It inherits the lock of the study's folder. A killed process needs no cleanup, because its lock is
released when it ends.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from qtha_lab.core import locks
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import append_shared, remove_file
from qtha_lab.core.processes import module_command
from qtha_lab.experiment.run_directory import queue
from qtha_lab.runs.process_start import FORKABLE

if TYPE_CHECKING:
    from qtha_lab.studies.study import Study


def start_scheduler(study: Study, on: str | None, runs: Mapping[Path, int]) -> None:
    """Start a scheduler process that inherits the lock of its study.

    The lock is taken before the start, so no second process can start in between.

    Raises:
        Refusal: If a process already works in the folder.
    """
    lock = queue.hold(study.lock, patience=5)
    if lock is None:
        raise Refusal(
            f"{study.path.name} must have one scheduler process, got a second one. Stop the "
            "first one."
        )
    try:
        remove_file(study.stop_file)
        with append_shared(study.log) as output:
            start = None if locks.INHERITS else queue.hold(study.start_lock)
            scheduler = locks.start_holding(
                _command(study, on, runs),
                lock,
                *runs.values(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={"QTHA_LAB_LOG": "info", **os.environ, **FORKABLE},
            )
    finally:
        os.close(lock)
    threading.Thread(target=_wait_for, args=(scheduler, start), daemon=True).start()


def _command(study: Study, on: str | None, runs: Mapping[Path, int]) -> list[str]:
    kind = f"{type(study).__module__}:{type(study).__qualname__}"
    words = [str(study.path), "--kind", kind, *(("--on", on) if on else ())]
    for path, lock in runs.items() if locks.INHERITS else ():
        words += ["--run", str(path), str(lock)]
    return module_command("qtha_lab.studies.scheduler", *words)


def _wait_for(scheduler: subprocess.Popen, start: int | None) -> None:
    """Wait for a scheduler process, and release the lock of its start."""
    scheduler.wait()
    if start is not None:
        os.close(start)
