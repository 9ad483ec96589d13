"""The remote side of a job with a store: copy the run, train, upload changes.

Training goes on during a storage outage; missing files are uploaded when the store answers again.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from pathlib import Path

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import scratch_folder
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.runs.remote import host
from qtha_lab.runs.remote.store import Store, StoredRun, failure

log = logging.getLogger(__name__)

EVERY_SECONDS = 2.0
SHARE = 0.1  # maximum share of the time for uploads
PATIENCE_SECONDS = 900.0  # wait for a storage outage after the run has ended


def work_mirrored(name: str, threads: int, variables: dict[str, str], url: str) -> str:
    """Run the worker of a stored run until it has ended, and upload the result.

    An interrupt stops the worker softly; the result is uploaded then.

    Args:
        name: Name of the run.
        threads: CPU threads of the worker.
        variables: Further environment variables of the worker.
        url: Address of the store.

    Returns:
        The reason if no worker could run; "" if the run's own log states its end.
    """
    stored = Store(url).run(name)
    if not stored.exists:
        return f"{socket.gethostname()} finds no run {name} in the store {url}"
    with scratch_folder() as folder:
        run = RunDir(Path(folder) / name)
        try:
            mirror = Mirror(stored, run)
        except Refusal as reason:
            return str(reason)
        try:
            problem = host.work_here(str(run.path), threads, variables)
        finally:
            unsaved = mirror.close()
        return problem or unsaved


class Mirror:
    """A local copy of a stored run, with a thread that uploads changes.

    Args:
        stored: The run in the store, which this process takes over and downloads.
        run: The local directory.
    """

    def __init__(self, stored: StoredRun, run: RunDir) -> None:
        self.stored, self.run = stored, run
        self.problem, self._is_lost = "", False
        before = stored.taken_by()
        self.name = stored.take()
        if before is not None:  # the previous process has ended, or will see the new name and stop
            time.sleep(2 * EVERY_SECONDS)
        stored.pull(run)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)
        self._thread.start()

    def close(self) -> str:
        """Upload the rest; return a sentence if that failed."""
        self._closing.set()
        self._thread.join()
        end = time.monotonic() + PATIENCE_SECONDS
        while not self._is_lost and not self._step() and time.monotonic() < end:
            time.sleep(EVERY_SECONDS)
        if not self._is_lost and not self.problem:
            self.stored.leave()
        return self.problem

    def _go_on(self) -> None:
        seconds = 0.0
        while not self._closing.wait(max(EVERY_SECONDS, seconds / SHARE)) and not self._is_lost:
            begin = time.monotonic()
            self._step()
            seconds = time.monotonic() - begin

    def _step(self) -> bool:
        """Upload changes, unless another process has the run; return True if the store answered."""
        try:
            holder = self.stored.taken_by()
            if holder is None:
                raise FileNotFoundError(f"the run is not in {self.stored.path}")
            if holder != self.name:
                self.problem, self._is_lost = "another machine has taken the run over", True
                self.run.request_stop()
                return True
            if self.stored.stop_requested():
                self.run.request_stop()
            self.stored.push(self.run)
        except Exception as problem:  # any exception of the store's library
            if not self.problem:
                log.warning("%s: the store does not respond: %s", self.run.path.name, problem)
            self.problem = failure(problem)
            return False
        self.problem = ""
        return True
