"""One word that starts whatever is described: a run, the runs of a comparison, the trials of a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import overload

from qtha_lab.core import paths
from qtha_lab.experiment import Comparison, Experiment, Sweep
from qtha_lab.runs.run import Run
from qtha_lab.studies import comparison as compare
from qtha_lab.studies import sweep
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
    """Start what is described and return at once; what waits for a slot is queued.

    Args:
        described: What to run.
        folder: Of the run directories, or the directory of the sweep; None is the usual one.
        check: Refuse first what cannot work; without it a worker would fail.

    Returns:
        A `Run` of an experiment, a `RunSet` of a comparison, the `Trials` of a sweep; each can be waited for, stopped
        and resumed, and each goes on if it is forgotten.

    Raises:
        Refusal: If it cannot run; then nothing is started.

    Example:
        >>> launch(Experiment(method="lora(r=2)")).wait().state  # doctest: +SKIP
        'finished'
        >>> launch(Experiment(method="lroa"))
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: unknown method 'lroa': did you mean 'lora'?
    """
    paths.working_folder()  # the worker starts in it
    if isinstance(described, Sweep):
        return sweep.launch(described, folder, check=check)
    return compare.launch(described, folder, check=check)
