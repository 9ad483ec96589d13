"""Launch function for a run, or for a study: comparison, sweep or federation."""

from __future__ import annotations

from pathlib import Path
from typing import Any, overload

from qtha_lab.core import paths
from qtha_lab.experiment import Comparison, Experiment, Sweep
from qtha_lab.runs.launch import launch_all
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison.comparison_study import ComparisonStudy
from qtha_lab.studies.kinds import class_for
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
