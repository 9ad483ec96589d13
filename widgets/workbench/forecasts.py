"""Forecasts of the cost of a comparison or a sweep, computed off the event loop.

Calls `qtha_lab.experiment.cost` and `qtha_lab.studies.sweep`, which load torch at the first call;
draws nothing.
"""

from collections.abc import Callable

from qtha_lab.cli.output import duration
from qtha_lab.experiment import Comparison, Experiment, Sweep
from qtha_lab.experiment.run_directory import queue as slots
from qtha_lab.studies import sweep
from qtha_lab.studies.comparison.protocol import trials_of


def previews(described: Comparison | Sweep, cancelled: Callable[[], bool]) -> dict:
    """Compute the cost preview of each method, by label; refuse invalid descriptions.

    A swept method is previewed at its first point.
    """
    from qtha_lab.experiment.cost.preview import preview

    described.check()
    return {label: preview(e, cancelled) for label, e in typical(described).items()}


def typical(described: Comparison | Sweep) -> dict[str, Experiment]:
    """Return one experiment per method: its first seed, at the first sweep point."""
    if isinstance(described, Sweep):
        return sweep.first_experiments(described)
    return described.typical()


def summary(described: Comparison | Sweep, costs: dict) -> str:
    """Return the number of runs and their duration if every slot is busy."""
    if isinstance(described, Sweep):
        seconds = {label: cost.seconds_per_step for label, cost in costs.items()}
        expected = sweep.forecast(described, seconds)
        return f"{_runs(expected.runs)} · about {duration(expected.seconds)}"
    trials = trials_of(described) if described.tuning else 0
    tuning_seeds = described.tuning.seeds if described.tuning else ()
    of_each = len(described.seeds) + trials * len(tuning_seeds)
    n_runs = len(costs) * of_each
    seconds = of_each * sum(cost.seconds_per_step * cost.steps for cost in costs.values())
    at_once = min(slots.n_slots(described.training.threads), n_runs)
    tuned = f", {trials} trials of each method among them" if trials else ""
    return f"{_runs(n_runs)}{tuned} · about {duration(seconds / at_once)}"


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
    from qtha_lab.experiment.cost.engines import engine_costs

    experiments = typical(described).items()
    return {label: engine_costs(e, costs[label], cancelled) for label, e in experiments}


def sentences(described: Comparison | Sweep, costs: dict) -> list[str]:
    """Return sentences on the size of a sweep; empty for a comparison."""
    if not isinstance(described, Sweep):
        return []
    seconds = {label: cost.seconds_per_step for label, cost in costs.items()}
    return sweep.forecast(described, seconds).sentences
