"""A folder of runs on a shared disk that goes away and comes back: waited for, since a run that is out of sight is not deleted."""

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
    """Whether a folder of runs cannot be seen; of a run that was deleted it still can."""
    try:
        return not folder.is_dir()
    except OSError as reason:
        log.debug("%s: %s", folder, reason)
        return True


def wait_until_reachable(run: RunDir) -> bool:
    """Wait for the folder that a run is in, and note in its log that it was away.

    Args:
        run: Whose files are out of sight.

    Returns:
        Whether the run is there again; False at once where its folder is, and after `PATIENCE_SECONDS`.
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
