"""Scheduler process of a study: `python -m qtha_lab.studies.scheduler FOLDER`.

Drives the plan of the study while it holds the lock of the folder. After a kill, a new process
continues.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import signal
from pathlib import Path

from qtha_lab.core import fault_log
from qtha_lab.core.io import refuse_inner_links
from qtha_lab.experiment.run_directory import disk, queue
from qtha_lab.runs.process_start import FORKS, end_scheduler
from qtha_lab.studies.launch import study_in
from qtha_lab.studies.study import Study
from qtha_lab.studies.work import drive

log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Work on one study, and return 0 if all of it ran.

    An error is logged as one sentence.
    """
    options = _options(arguments)
    folder = options.folder
    lock = (
        queue.hold(folder / "scheduler.lock", patience=1) if options.lock is None else options.lock
    )
    if lock is None:
        log.error("%s already has a scheduler process", folder)
        return 2
    os.set_inheritable(lock, False)
    locks = {Path(path): int(number) for path, number in options.run}
    for number in locks.values():
        os.set_inheritable(number, False)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops the runs with saved state
    try:
        queue.sign(lock, os.getpid())
        study = _study(folder, options.kind)
        refuse_inner_links(folder, study.levels)
        study.set_up_process()
        drive(study, on=options.on, locks=locks)
        FORKS.wait()
        study.finish()
        study.mark_finished()
        return 0
    except KeyboardInterrupt:
        log.info("stopped; another start goes on")
    except Exception as error:
        shown = disk.full(folder) if disk.is_full(error) else error
        log.error("%s", fault_log.fault_sentence(shown))
    return 1


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Work on one study.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", help="MODULE:CLASS of the study")
    parser.add_argument("--lock", type=int, help="descriptor that holds the folder's lock")
    parser.add_argument(
        "--run", nargs=2, action="append", default=[], help="a run with its lock's descriptor"
    )
    parser.add_argument("--on", help="remote backend that trains the runs")
    return parser.parse_args(arguments)


def _study(folder: Path, kind: str | None) -> Study:
    if kind is None:
        return study_in(folder)
    module, _, name = kind.partition(":")
    return getattr(importlib.import_module(module), name)(folder)


if __name__ == "__main__":
    FORKS.enable()
    end_scheduler(main())
