"""Forecasts of the cost of a comparison or a sweep, computed off the event loop.

Calls `qtha_lab.experiment.cost` and `qtha_lab.studies.sweep`, which load torch at the first call;
draws nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtha_lab.cli.output import duration
from qtha_lab.core.paths import kernels_dir
from qtha_lab.experiment import Comparison, Experiment, Sweep
from qtha_lab.experiment.run_directory import queue
from qtha_lab.studies import sweep
from qtha_lab.studies.comparison.protocol import trials_of

if TYPE_CHECKING:
    from qtha_lab.experiment.cost.preview import Preview
    from qtha_lab.experiment.cost.sizes import ExperimentSizes


def sizes_of(
    described: Comparison | Sweep, cancelled: Callable[[], bool]
) -> dict[str, ExperimentSizes]:
    """Compute the sizes of each method, by label; refuse invalid descriptions.

    A swept method is sized at its first point.
    """
    from qtha_lab.experiment.cost.sizes import sizes

    described.check()
    return {label: sizes(e, cancelled) for label, e in typical(described).items()}


def preview_of(described: Comparison | Sweep, label: str, cancelled: Callable[[], bool]) -> Preview:
    """Compute the cost preview of one method.

    Args:
        described: The comparison or sweep.
        label: Label of the method.
        cancelled: Called between stages; True ends the work.
    """
    from qtha_lab.experiment.cost.preview import preview

    return preview(typical(described)[label], cancelled)


def measuring(place: int, count: int, compiles: bool) -> str:
    """Return the progress of the measurement of the times.

    Args:
        place: Number of the method that is timed.
        count: Number of methods.
        compiles: True if kernels are compiled first.

    Example:
        >>> measuring(1, 2, True)
        'timing method 1 of 2; kernels are compiled, once per machine, for about a minute …'
    """
    once = "; kernels are compiled, once per machine, for about a minute" if compiles else ""
    return f"timing method {place} of {count}{once} …"


def must_compile() -> bool:
    """Return True if no compiled kernel of circuits is stored yet."""
    return not any(kernels_dir().glob("*.kernel"))


def typical(described: Comparison | Sweep) -> dict[str, Experiment]:
    """Return one experiment per method, with the first seed and the first sweep point."""
    if isinstance(described, Sweep):
        return sweep.first_experiments(described)
    return described.typical()


def summary(described: Comparison | Sweep, costs: dict) -> str:
    """Return the number of runs and their duration if every slot is busy."""
    if isinstance(described, Sweep):
        seconds = {label: cost.seconds_per_step for label, cost in costs.items()}
        expected = sweep.forecast(described, seconds)
        return f"{_runs(expected.runs)} · about {duration(expected.seconds)}"
    n_runs = run_count(described, len(costs))
    of_each = n_runs // len(costs)
    seconds = of_each * sum(cost.seconds_per_step * cost.steps for cost in costs.values())
    at_once = min(queue.n_slots(described.training.threads), n_runs)
    trials = trials_of(described) if described.tuning else 0
    tuned = f", {trials} trials of each method among them" if trials else ""
    return f"{_runs(n_runs)}{tuned} · about {duration(seconds / at_once)}"


def run_count(described: Comparison | Sweep, n_methods: int) -> int:
    """Return the number of runs of a comparison, with its trials, or of a sweep."""
    if isinstance(described, Sweep):
        return sum(map(described.trials_of, described.methods)) * len(described.seeds)
    trials = trials_of(described) if described.tuning else 0
    tuning_seeds = described.tuning.seeds if described.tuning else ()
    return n_methods * (len(described.seeds) + trials * len(tuning_seeds))


def known(described: Comparison | Sweep, count: int, place: int, compiles: bool) -> str:
    """Return the number of runs and the progress, while times are measured.

    Args:
        described: The comparison or sweep.
        count: Number of its methods.
        place: Number of the method that is timed.
        compiles: True if kernels are compiled first.
    """
    progress = "compiling kernels, once" if compiles else f"timing {place} of {count}"
    return f"{_runs(run_count(described, count))} · {progress} …"


def _runs(count: int) -> str:
    return f"{count} run{'s' if count > 1 else ''}"


def engines_of(
    described: Comparison | Sweep, costs: dict, cancelled: Callable[[], bool]
) -> dict[str, list]:
    """Return the cost of a step of each method on each engine, by method label.

    Args:
        described: The comparison or sweep.
        cancelled: Called between engines; True ends the work.
        costs: The previews of its methods, by label.
    """
    from qtha_lab.experiment.cost.sizes import engine_costs

    experiments = typical(described).items()
    return {label: engine_costs(e, costs[label], cancelled) for label, e in experiments}


def sentences(described: Comparison | Sweep, costs: dict) -> list[str]:
    """Return sentences on the size of a sweep; empty for a comparison."""
    if not isinstance(described, Sweep):
        return []
    seconds = {label: cost.seconds_per_step for label, cost in costs.items()}
    return sweep.forecast(described, seconds).sentences
