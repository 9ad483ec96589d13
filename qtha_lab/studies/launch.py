"""Launch function for a run, the runs of a comparison, or tuning trials."""

from __future__ import annotations

from pathlib import Path
from typing import overload

from qtha_lab.core import paths
from qtha_lab.experiment import Comparison, Experiment, Sweep
from qtha_lab.runs.run import Run
from qtha_lab.studies import comparison, sweep
from qtha_lab.studies.comparison import RunSet
from qtha_lab.studies.sweep import Trials


@overload
def launch(
    described: Experiment, folder: Path | str | None = None, *, check: bool = True
) -> Run: ...
@overload
def launch(
    described: Comparison, folder: Path | str | None = None, *, check: bool = True
) -> RunSet: ...
@overload
def launch(described: Sweep, folder: Path | str | None = None, *, check: bool = True) -> Trials: ...
def launch(
    described: Experiment | Comparison | Sweep,
    folder: Path | str | None = None,
    *,
    check: bool = True,
) -> Run | RunSet | Trials:
    """Start the described runs and return at once; queue runs without a free slot.

    Args:
        described: Experiment, comparison or sweep to run.
        folder: Folder of the run directories, or directory of the sweep; None is the default.
        check: Validate the description first; otherwise errors appear in the worker.

    Returns:
        A `Run` of an experiment, a `RunSet` of a comparison, or the `Trials` of a sweep. Each can
        be waited for, stopped and resumed, and continues after this process ends.

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
    if isinstance(described, Sweep):
        return sweep.launch(described, folder, check=check)
    return comparison.launch(described, folder, check=check)
