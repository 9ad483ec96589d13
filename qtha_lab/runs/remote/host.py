"""The remote side of a job with a shared folder: start the worker and wait.

The worker dies with the process that waits for it, so a lost job can be retried on another machine.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

from qtha_lab.core.io import append_shared
from qtha_lab.core.processes import module_command
from qtha_lab.experiment.run_directory import RunDir, queue

LOCK_SECONDS = 60.0  # for a lost machine's worker to release its lock
SOFT_SECONDS = 120.0


def variables() -> dict[str, str]:
    """Return the environment variables of this process for a remote worker."""
    return {name: value for name, value in os.environ.items() if name.startswith("QTHA_LAB_")}


def work_here(path: str, threads: int, variables: dict[str, str]) -> str:
    """Run the worker of a run until it has ended; an interrupt stops it softly.

    Args:
        path: The run's directory.
        threads: CPU threads of the worker.
        variables: Further environment variables of the worker.

    Returns:
        The reason if no worker could run; "" if the run's own log states its end.
    """
    files = RunDir(Path(path))
    if not files.exists:
        host = socket.gethostname()
        return f"All machines must share the folder of runs, but {host} has no {path}."
    end = time.monotonic() + LOCK_SECONDS
    while queue.is_locked(files.lock):
        if time.monotonic() > end:
            return f"a worker has been at the run for {LOCK_SECONDS:g} s and does not end"
        time.sleep(0.1)
    environment = {**os.environ, **variables, "OMP_NUM_THREADS": str(threads)}
    environment["QTHA_LAB_SLOTS"] = str(queue.UNCOUNTED)
    with append_shared(files.log) as output:
        worker = subprocess.Popen(
            module_command("qtha_lab.runs.worker", path, "--tether"),
            stdin=subprocess.PIPE,  # closes when this process ends
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    try:
        worker.wait()
    except BaseException:  # the job was cancelled
        worker.terminate()
        worker.wait(SOFT_SECONDS)
        raise
    finally:
        if worker.stdin is not None:
            worker.stdin.close()
    return ""
