"""The further processes that train a run together with its worker.

The worker starts them, and they end with it. Each reads its rank from torchrun's variables. So
`torchrun … -m qtha_lab.runs.worker RUN_DIR` can start all of them too, also on several hosts. Their
computation is in `qtha_lab.training.finetune`.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import threading
from collections.abc import Callable

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened, whole_number
from qtha_lab.core.processes import module_command
from qtha_lab.experiment.run_directory import RunDir

log = logging.getLogger(__name__)

GRACE_SECONDS = 10.0  # for the worker to detect a lost process


def rank() -> int:
    """Return the rank of this process among those of its run; 0 is the worker."""
    return whole_number(os.environ.get("RANK", "")) or 0


def start_distributed_workers(run: RunDir, lost: Callable[[str], None]) -> None:
    """Start the other processes of a run, unless torchrun has.

    Args:
        run: The run's directory.
        lost: Called in a thread with a sentence if a process has failed and this one has not
            noticed.

    Raises:
        Refusal: If torchrun has started a different number of processes.
    """
    size = run.experiment.training.processes
    if "WORLD_SIZE" in os.environ:
        if whole_number(launched := os.environ["WORLD_SIZE"]) != size:
            raise Refusal(
                f"processes must be {shortened(launched)}, as started by torchrun, got {size}."
            )
        return
    if size == 1:
        return
    os.environ |= _place(0, size) | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    for number in range(1, size):
        process = subprocess.Popen(
            module_command("qtha_lab.runs.worker", str(run.path), "--tether"),
            stdin=subprocess.PIPE,  # closes when this process ends
            env=os.environ | _place(number, size),
        )
        threading.Thread(target=_watch, args=(process, run, number, lost), daemon=True).start()
    log.info("%s: %d processes share its batches", run.path.name, size)


def _watch(
    process: subprocess.Popen, run: RunDir, number: int, lost: Callable[[str], None]
) -> None:
    """Wait for a process, and end the run if it fails.

    The other processes would wait for a failed one without end.
    """
    if code := process.wait():
        threading.Event().wait(GRACE_SECONDS)
        how = f"was killed by signal {-code}" if code < 0 else f"failed with code {code}"
        lost(f"process {number} of the run {how}; details in {run.log}")


def _place(number: int, size: int) -> dict[str, str]:
    return {
        "RANK": str(number),
        "LOCAL_RANK": str(number),
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
