"""Scheduler process of runs: `python -m qtha_lab.runs.scheduler RUN_DIR LOCK [RUN_DIR LOCK …]`.

Each LOCK is an inherited descriptor that holds the lock of a run. The process ends with its last
worker; a worker outlives a killed scheduler.
"""

import os
import sys
import time
from pathlib import Path

from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.runs.process_start import FORKS, end_scheduler, start_worker

POLL_SECONDS = 0.2


def main(arguments: list[str] | None = None) -> int:
    """Start the workers of the runs, and wait for all of them."""
    words = sys.argv[1:] if arguments is None else arguments
    FORKS.enable(alone=len(words) == 2)
    threads = []
    for path, lock in zip(words[::2], map(int, words[1::2]), strict=True):
        os.set_inheritable(lock, False)
        threads.append(start_worker(RunDir(Path(path)), lock))
        os.close(lock)
    while FORKS.workers or any(thread and thread.is_alive() for thread in threads):
        time.sleep(POLL_SECONDS)
    return 0


if __name__ == "__main__":
    end_scheduler(main())
