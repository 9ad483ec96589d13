"""The kinds of studies by name, and the study of a folder or a description."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Experiment
from qtha_lab.runs.run import attach
from qtha_lab.studies.study import Study

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

    Args:
        name: Path, or name of a run or study in the default runs folder.

    Raises:
        Refusal: If there is no such folder.
    """
    places = [Path(name), *(paths.runs_dir() / study_class(kind).group() / name for kind in KINDS)]
    for place in places:
        if any((place / f"{kind}.yaml").is_file() for kind in KINDS):
            study = study_in(place)
            return study.path, study.described
    run = attach(str(name))
    return run.path, run.experiment
