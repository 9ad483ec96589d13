"""The process of one comparison: `python -m qtha_lab.compare.driver COMPARISON_DIR`.

Runs its trials, its runs and its moved starts, then writes the report. Killed at any moment and started again it goes
on where it was, as `compare.run` does.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable

from qtha_lab.compare.comparing import run
from qtha_lab.compare.folder import ComparisonDir
from qtha_lab.compare.reporting import report
from qtha_lab.errors import Refusal
from qtha_lab.rundir import drivers
from qtha_lab.runs import Run, Status

log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Drive one comparison; the exit code is 0 if all of it has been run."""
    order = drivers.enter("Drive one comparison.", arguments)
    folder = ComparisonDir(order.path)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # which stops the runs softly
    try:
        run(folder.comparison, folder.path, _stop_if_asked(folder), on=order.on)
        report(folder.path)
    except KeyboardInterrupt:
        log.info("stopped; another start goes on")
        return 1
    except Refusal as refusal:
        log.error("%s", refusal)
        return 1
    folder.mark_ended()
    return 0


def _stop_if_asked(folder: ComparisonDir) -> Callable[[Run, Status], None]:
    def look(run: Run, status: Status) -> None:
        if folder.stop.exists():
            raise KeyboardInterrupt

    return look


if __name__ == "__main__":
    sys.exit(main())
