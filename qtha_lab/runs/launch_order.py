"""Order in which runs were launched.

Ids of one second sort by method and chance.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from qtha_lab.core.io import open_file, parse_json
from qtha_lab.runs.run import Run

log = logging.getLogger(__name__)
LONGEST_LINE = 2**16  # bytes


def in_launch_order(runs: Iterable[Run]) -> list[Run]:
    """Sort runs by seconds in ids, then by times in logs.

    The first method of a comparison is the reference of the others.
    """
    return sorted(runs, key=lambda run: (run.id[:15], _begun(run), run.id))


def _begun(run: Run) -> float:
    """Return the time of the first line of a run's log; infinity without one."""
    try:
        with open_file(run.files.events, links=False) as file:
            return float(parse_json(file.readline(LONGEST_LINE))["t"])
    except (OSError, ValueError, KeyError, TypeError) as reason:
        log.debug("no beginning of %s: %s", run.id, reason)
        return float("inf")
