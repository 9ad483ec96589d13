"""What a comparison or a sweep will take, worked out before it starts and off the event loop.

Asks `qtha_lab.cost` and `qtha_lab.sweep`, which load torch when they are first asked; draws nothing.
"""

from collections.abc import Callable

from qtha_lab import sweep
from qtha_lab.cli.output import duration
from qtha_lab.experiment import Comparison, Experiment, Sweep
from qtha_lab.rundir import slots


def previews(described: Comparison | Sweep, cancelled: Callable[[], bool]) -> dict:
    """What each method would cost, by label, a swept one at its first point; refuses what cannot run."""
    from qtha_lab.cost.preview import preview

    described.check()
    return {label: preview(e, cancelled) for label, e in typical(described).items()}


def typical(described: Comparison | Sweep) -> dict[str, Experiment]:
    """An experiment of each method, by the method's label: with the first seed, at the first point of a sweep."""
    if isinstance(described, Sweep):
        return sweep.first_experiments(described)
    seed = described.seeds[0]
    return {e.method.label: e for e in described.experiments() if e.seed == seed}


def summary(described: Comparison | Sweep, costs: dict) -> str:
    """How many runs will be launched, and how long they take with every slot busy."""
    if isinstance(described, Sweep):
        seconds = {label: cost.seconds_per_step for label, cost in costs.items()}
        expected = sweep.forecast(described, seconds)
        return f"{expected.runs} runs · about {duration(expected.seconds)}"
    n_runs = len(described.methods) * len(described.seeds)
    seconds = sum(cost.seconds_per_step * cost.steps for cost in costs.values()) * len(
        described.seeds
    )
    at_once = min(slots.n_slots(described.training.threads), n_runs)
    return f"{n_runs} run{'s' if n_runs > 1 else ''} · about {duration(seconds / at_once)}"


def engines_of(
    described: Comparison | Sweep, costs: dict, cancelled: Callable[[], bool]
) -> dict[str, list]:
    """What a step of each method takes on each engine, by the method's label.

    Args:
        described: What would be launched.
        costs: The previews of its methods, by label.
        cancelled: Asked between engines; once true, the work ends.
    """
    from qtha_lab.cost.engines import engine_costs

    experiments = typical(described).items()
    return {label: engine_costs(e, costs[label], cancelled) for label, e in experiments}


def sentences(described: Comparison | Sweep, costs: dict) -> list[str]:
    """How much a sweep is, before it starts; nothing of a comparison."""
    if not isinstance(described, Sweep):
        return []
    seconds = {label: cost.seconds_per_step for label, cost in costs.items()}
    return sweep.forecast(described, seconds).sentences
