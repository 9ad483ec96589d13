"""Launch of one run or of a comparison; staged comparisons get a scheduler process."""

from __future__ import annotations

from pathlib import Path
from typing import overload

from qtha_lab.experiment import Comparison, Experiment
from qtha_lab.runs import run
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison.contenders import timed
from qtha_lab.studies.comparison.folder import ComparisonDir
from qtha_lab.studies.comparison.launched import start_comparison
from qtha_lab.studies.comparison.run_set import RunSet
from qtha_lab.studies.comparison.sealed_pool import open_sealed_pool


@overload
def launch_comparison(
    described: Experiment, runs_dir: Path | str | None = None, *, check: bool = True
) -> Run: ...
@overload
def launch_comparison(
    described: Comparison, runs_dir: Path | str | None = None, *, check: bool = True
) -> RunSet: ...
def launch_comparison(
    described: Experiment | Comparison, runs_dir: Path | str | None = None, *, check: bool = True
) -> Run | RunSet:
    """Launch a run or all runs of a comparison, and return at once.

    Runs without a free slot are queued.

    Args:
        described: Experiment or comparison to run.
        runs_dir: Folder of run directories; None is the default.
        check: Validate the description first; otherwise errors appear in the worker.

    Returns:
        A `Run` of an experiment, or a `RunSet` of a comparison; both can be waited for, stopped
        and resumed. A comparison with tuning trials or 1-ulp perturbation runs gives a
        `ScheduledRuns`, whose runs a scheduler process launches.

    Raises:
        Refusal: If the description cannot run; no run is started then.

    Example:
        >>> launch_comparison(Experiment(method="lora(r=2)")).wait().state  # doctest: +SKIP
        'finished'
        >>> launch_comparison(Experiment(method="lroa"))
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: Unknown method 'lroa': did you mean 'lora'?
    """
    if isinstance(described, Experiment):
        return run.launch(described, runs_dir, check=check)
    folder = Path(runs_dir) if runs_dir else None
    if check:
        described.check(folder)
    if described.in_stages:
        return start_comparison(ComparisonDir.create(described, folder))
    open_sealed_pool(described)
    contenders = timed(described)
    experiments = described.experiments(contenders)
    launched = run.launch_all(experiments, runs_dir, check=False)
    return RunSet(described, launched, contenders)
