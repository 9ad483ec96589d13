"""Launch function for a run, or for a study: comparison, sweep or federation."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, overload

from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison, Experiment, Sweep
from qtha_lab.runs.launch import launch_all
from qtha_lab.runs.run import Run, load_run
from qtha_lab.studies.comparison.comparison_study import ComparisonStudy
from qtha_lab.studies.study import Study
from qtha_lab.studies.sweep.sweep_study import SweepStudy


@overload
def launch(
    described: Experiment, folder: Path | str | None = None, *, check: bool = True
) -> Run: ...
@overload
def launch(
    described: Comparison, folder: Path | str | None = None, *, check: bool = True
) -> ComparisonStudy: ...
@overload
def launch(
    described: Sweep, folder: Path | str | None = None, *, check: bool = True
) -> SweepStudy: ...
def launch(described: Any, folder: Path | str | None = None, *, check: bool = True) -> Run | Study:
    """Start the described runs and return at once; queue runs without a free slot.

    Args:
        described: Experiment, or description of a study: comparison, sweep or federation.
        folder: Folder of the run directories of an experiment or comparison, or folder of another
            study; None is the default.
        check: Validate the description first; otherwise errors appear in the worker.

    Returns:
        A `Run` of an experiment, or the `Study`. Each can be waited for, stopped and resumed, and
        continues after this process ends.

    Raises:
        Refusal: If the description cannot run; no run is started then.

    Example:
        >>> launch(Experiment(method="lora(r=2)")).wait().state  # doctest: +SKIP
        'finished'
        >>> launch(Experiment(method="lroa"))
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: Unknown method 'lroa': did you mean 'lora'?
    """
    paths.working_folder()  # fails early if the worker cannot start in this folder
    if isinstance(described, Experiment):
        return launch_all([described], folder, check=check)[0]
    study = class_for(described)
    if folder is not None and isinstance(described, Comparison):
        folder = study.new_place(Path(folder))
    return study.begin(described, folder, check=check)


KINDS = {
    "comparison": "qtha_lab.studies.comparison.comparison_study:ComparisonStudy",
    "sweep": "qtha_lab.studies.sweep.sweep_study:SweepStudy",
    "federation": "qtha_lab.studies.federated.federation_study:FederationStudy",
    "search": "qtha_lab.studies.circuit_search:CircuitSearchStudy",
    "reproduction": "qtha_lab.reproductions.machinery.reproduction_study:ReproductionStudy",
}


def study_class(kind: str) -> type[Study]:
    """Return the class of a kind of study, by name."""
    module, _, name = KINDS[kind].partition(":")
    return getattr(importlib.import_module(module), name)


def class_for(described: Any) -> type[Study]:
    """Return the class of studies of a description, such as a `Comparison`.

    Raises:
        Refusal: If the value describes no study.
    """
    for kind in map(study_class, KINDS):
        if isinstance(described, kind.describes):
            return kind
    raise Refusal(f"The value must be the description of a study, got {described!r:.60}.")


def study_in(folder: Path) -> Study:
    """Return the study in a folder.

    Raises:
        Refusal: If the folder holds no description of a study.
    """
    for kind in KINDS:
        if (folder / f"{kind}.yaml").is_file():
            return study_class(kind)(folder)
    raise Refusal(f"{folder} must be the folder of a study, got one without a description.")


def described_folder(name: str | Path) -> tuple[Path, Experiment | Any]:
    """Return the folder of a run or study, and its description; imports no plugin.

    Raises:
        Refusal: If there is no such folder.
    """
    places = [Path(name), *(paths.runs_dir() / study_class(kind).group() / name for kind in KINDS)]
    for place in places:
        if any((place / f"{kind}.yaml").is_file() for kind in KINDS):
            study = study_in(place)
            return study.path, study.described
    run = load_run(str(name))
    return run.path, run.experiment
