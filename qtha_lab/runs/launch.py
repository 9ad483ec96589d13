"""Launch runs: create their directories, and start their workers or send them away.

The work is done by `qtha_lab.runs.worker`, in a process and session of its own.

Ids of one second sort by method and chance.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from qtha_lab.core import paths
from qtha_lab.core.io import open_file, parse_json
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.objectives import teacher_folder
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.plugins import record_plugins
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


def with_absolute_paths(experiment: Experiment) -> Experiment:
    """Return the experiment with absolute paths, for a resume in any working folder.

    This covers model folder, task file, teacher and plugin files.
    """
    places = {name: absolute_place(getattr(experiment, name)) for name in ("model", "task")}
    changes: dict[str, Any] = {n: v for n, v in places.items() if v != getattr(experiment, n)}
    if teacher := experiment.training.teacher_run:
        folder = str(teacher_folder(teacher))
        if folder != teacher:
            changes["training"] = experiment.training.replace(teacher=folder)
    plugins = [_absolute_path(name) for name in experiment.plugins]
    if plugins != experiment.plugins:
        changes["plugins"] = plugins
    return experiment.replace(**changes) if changes else experiment


def absolute_place(name: str) -> str:
    """Return the absolute path of a model folder or task file; other names stay unchanged."""
    path = paths.as_path(name)
    is_path_like = len(path.parts) > 1 or path.suffix in (".jsonl", ".json")
    return str(path.resolve()) if is_path_like and path.exists() else name


def _absolute_path(plugin: str) -> str:
    file = paths.as_path(plugin)
    return str(file.resolve()) if file.suffix == ".py" and file.exists() else plugin


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
