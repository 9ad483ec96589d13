"""The sending of a run to a remote backend, with a lock held here.

`machine.lock` in the run's directory is held here until the remote job has ended. This includes the
loss of a machine and the retry on another. So the run does not count as dead.
"""

from __future__ import annotations

import logging
import os

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.run_directory import RunDir, queue
from qtha_lab.experiment.run_directory.events import last_status, read_tail
from qtha_lab.runs.process_start import record_status, taken_over
from qtha_lab.runs.remote.registry import RemoteBackend

log = logging.getLogger(__name__)


def send(files: RunDir, backend: RemoteBackend, *, anew: bool = False) -> None:
    """Send a run to a remote backend, and return at once.

    Args:
        files: The directory of the run.
        backend: The remote backend.
        anew: Begin at step 0 again; existing checkpoints are set aside.

    Raises:
        Refusal: If the run has a worker, or was sent already.
    """
    if queue.is_locked(files.sent):
        raise Refusal(f"Run {files.path.name} must be sent once, got a second time.")
    with taken_over(files, "waiting for a machine", anew=anew):
        pass
    backend.start(files)


class Waiting:
    """The lock on a run that was sent; `ended` is called once after its job.

    Args:
        files: The directory of the run.
    """

    def __init__(self, files: RunDir) -> None:
        self.files = files
        self._lock = queue.hold(files.sent)

    def ended(self, problem: str = "", *, cancelled: bool = False) -> None:
        """Release the run; log its end if the worker has not.

        Args:
            problem: Reason why no worker could run; "" if one did.
            cancelled: True if the job was cancelled before it started.
        """
        lock, self._lock = self._lock, None
        if lock is None:
            return
        log.info("%s: its job has ended; %s", self.files.path.name, problem or "by itself")
        try:
            training = self.files.experiment.training
            status = last_status(read_tail(self.files.events), training.steps)
            if status is not None and status.ended:
                log.debug("%s reported: %s", self.files.path.name, status.state)
            elif cancelled:
                record_status(self.files, "stopped", "stopped before a machine took it")
            elif problem:
                record_status(self.files, "failed", problem)
        finally:
            os.close(lock)
