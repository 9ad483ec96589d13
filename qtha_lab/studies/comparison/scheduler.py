"""Scheduler process of a comparison: `python -m qtha_lab.studies.comparison.scheduler COMPARISON_DIR`.

Runs the tuning trials, the runs and the 1-ulp perturbation runs, then writes the report. After a
kill, a new process continues, as `run_comparison.run` does.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.run_directory import scheduler_process as drivers
from qtha_lab.runs.run import Run, Status
from qtha_lab.studies.comparison.folder import ComparisonDir
from qtha_lab.studies.comparison.report import report
from qtha_lab.studies.comparison.run_comparison import run

log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Run one comparison; return 0 if all of it has been run."""
    order = drivers.enter("Drive one comparison.", arguments)
    folder = ComparisonDir(order.path)
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # an interrupt stops the runs with saved state
    try:
        run(folder.comparison, folder.path, _stop_if_asked(folder), on=order.on)
        report(folder.path)
    except KeyboardInterrupt:
        log.info("stopped; another start goes on")
        return 1
    except Refusal as refusal:
        log.error("%s", refusal)
        return 1
    folder.mark_finished()
    return 0


def _stop_if_asked(folder: ComparisonDir) -> Callable[[Run, Status], None]:
    def look(run: Run, status: Status) -> None:
        if folder.stop.exists():
            raise KeyboardInterrupt

    return look


if __name__ == "__main__":
    sys.exit(main())
