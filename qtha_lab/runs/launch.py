"""Launch runs: create their directories, and start their workers or send them away.

The work is done by `qtha_lab.runs.worker`, in a process and session of its own.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qtha_lab.core import paths
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.plugins import record_plugins
from qtha_lab.runs.absolute_paths import with_absolute_paths
from qtha_lab.runs.process_start import taken_over
from qtha_lab.runs.remote import RemoteBackend
from qtha_lab.runs.run import Run, start

log = logging.getLogger(__name__)


def launch(
    experiment: Experiment,
    runs_dir: Path | str | None = None,
    *,
    check: bool = True,
    origin: Mapping[str, Any] | None = None,
    on: RemoteBackend | None = None,
) -> Run:
    """Start a run in a process of its own and return at once.

    Args:
        experiment: Experiment to train.
        runs_dir: Parent folder of its directory; default `paths.runs_dir()`.
        check: Refuse an invalid experiment first (`Experiment.check`); otherwise the worker fails.
        origin: Origin of the launch as plain values, stored in `origin.json`; None for a user.
        on: Remote backend that trains the run; None is this machine.

    Returns:
        A view of the run, which can be waited for, stopped and resumed.

    Raises:
        Refusal: If the experiment cannot run; then nothing is started.

    Example:
        >>> launch(Experiment(method="lora(r=2)")).wait().state  # doctest: +SKIP
        'finished'
    """
    (run,) = launch_all([experiment], runs_dir, check=check, origins=[origin], on=on)
    return run


def launch_all(
    experiments: Sequence[Experiment],
    runs_dir: Path | str | None = None,
    *,
    check: bool = True,
    origins: Sequence[Mapping[str, Any] | None] = (),
    on: RemoteBackend | None = None,
) -> list[Run]:
    """Start runs that share one scheduler process, and return at once.

    Args:
        experiments: Experiments to train.
        runs_dir: As for `launch`.
        check: As for `launch`.
        origins: Origin of each run, as for `launch`; empty for a user.
        on: As for `launch`.

    Raises:
        Refusal: If an experiment cannot run; then nothing is started.
    """
    folder = Path(runs_dir) if runs_dir else paths.runs_dir()
    described = [with_absolute_paths(experiment) for experiment in experiments]
    if check:
        for experiment in described:
            experiment.check(folder)
    pairs = zip(described, origins or [None] * len(described), strict=True)
    every = [_created(experiment, folder, origin) for experiment, origin in pairs]
    start(every, on)
    return [Run(files.path) for files in every]


def create_all(
    experiments: Sequence[Experiment], folder: Path, held: contextlib.ExitStack
) -> dict[Path, int]:
    """Create queued runs for a scheduler process that inherits their locks.

    Args:
        experiments: Experiments of the runs.
        folder: Parent folder of their directories.
        held: Releases the locks, which the scheduler process then holds alone.

    Returns:
        The descriptor of each run's lock, by directory.
    """
    every = [_created(with_absolute_paths(each), folder, None) for each in experiments]
    return {files.path: held.enter_context(taken_over(files, "starting")) for files in every}


def _created(experiment: Experiment, folder: Path, origin: Mapping[str, Any] | None) -> RunDir:
    """Create the directory of a run, whose plugins this user thereby trusts."""
    files = RunDir.create(experiment, folder, origin)
    record_plugins(files)
    log.info("launching %s in %s", experiment.method.label, files.path)
    return files
