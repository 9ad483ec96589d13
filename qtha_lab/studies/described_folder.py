"""Lookup of any folder with a description: run, comparison, sweep or federation."""

from __future__ import annotations

from pathlib import Path

from qtha_lab.core import paths
from qtha_lab.experiment import Comparison, Experiment, Federation, Sweep
from qtha_lab.experiment.run_directory import trust
from qtha_lab.runs.run import attach
from qtha_lab.studies.comparison.folder import described

KINDS = {"comparison": Comparison, "sweep": Sweep, "federation": Federation}


def described_folder(
    name: str | Path,
) -> tuple[Path, Experiment | Comparison | Sweep | Federation]:
    """Return a folder and its description; imports no plugin.

    Args:
        name: Path, or name of a run, comparison or sweep in the default runs folder.

    Raises:
        Refusal: If there is no such folder.
    """
    places = [Path(name), *(paths.runs_dir() / group / name for group in trust.GROUPS.values())]
    for folder in places:
        if kind := KINDS.get(trust.kind_of(folder)):
            file = folder / f"{trust.kind_of(folder)}.yaml"
            read = described if kind is Comparison else kind.from_yaml
            return folder.resolve(), read(file)
    run = attach(str(name))
    return run.path, run.experiment
