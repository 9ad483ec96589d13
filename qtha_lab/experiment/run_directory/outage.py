"""Storage outage of a runs folder: wait until a temporarily missing folder returns."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

from qtha_lab.experiment.run_directory.events import EventLog, read_tail
from qtha_lab.experiment.run_directory.files import RunDir
from qtha_lab.experiment.run_directory.status import last_step

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 900.0
POLL_SECONDS = 0.2


def is_unreachable(folder: Path) -> bool:
    """Return True if a runs folder cannot be accessed, in contrast to a deleted run."""
    try:
        return not folder.is_dir()
    except OSError as reason:
        log.debug("%s: %s", folder, reason)
        return True


def wait_until_reachable(run: RunDir) -> bool:
    """Wait for the folder of a run during a storage outage, and log the outage.

    Returns:
        True if the run is accessible again. False at once if its folder is accessible, and after
            `PATIENCE_SECONDS`.
    """
    folder, start = run.path.parent, time.monotonic()
    if not is_unreachable(folder):
        return False
    sys.stderr.write(f"the folder {folder} is away: waiting for it\n")
    sys.stderr.flush()
    while not run.exists and time.monotonic() < start + PATIENCE_SECONDS:
        time.sleep(POLL_SECONDS)
    if not run.exists:
        return False
    events = EventLog(run.events)
    message = f"the folder of runs was away for {time.monotonic() - start:.0f} s"
    events.append("note", step=last_step(read_tail(run.events)), message=message)
    events.close()
    return True
