"""Scheduler process: `python -m qtha_lab.studies.comparison.scheduler COMPARISON_DIR`.

Runs the tuning trials, the runs and the 1-ulp perturbation runs, then writes the report. After a
kill, a new process continues, as `run_comparison` does.
"""

from __future__ import annotations

import signal
from collections.abc import Callable

from qtha_lab.experiment.run_directory import scheduler_process
from qtha_lab.runs.process_start import FORKS, end_scheduler
from qtha_lab.runs.run import Run, Status
from qtha_lab.studies.comparison.folder import ComparisonDir
from qtha_lab.studies.comparison.report import report
from qtha_lab.studies.comparison.run_comparison import run_comparison


def main(arguments: list[str] | None = None) -> int:
    """Run one comparison; return 0 if all of it has been run."""
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # an interrupt stops the runs with saved state
    return scheduler_process.drive("Drive one comparison.", arguments, _drive)


def _drive(order: scheduler_process.SchedulerArguments) -> bool:
    folder = ComparisonDir(order.path)
    run_comparison(folder.trusted, folder.path, _stop_on_request(folder), on=order.on)
    report(folder.path)
    folder.mark_finished()
    return True


def _stop_on_request(folder: ComparisonDir) -> Callable[[Run, Status], None]:
    def look(run: Run, status: Status) -> None:
        if folder.stop.exists():
            raise KeyboardInterrupt

    return look


if __name__ == "__main__":
    FORKS.enable()
    end_scheduler(main())
