"""Duration of a training step on each simulation engine, and the choice of engine "auto".

Each engine is measured once on the adapter's circuits, for about a second; the rest of the step
comes from the preview.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from qtha_lab import simulators
from qtha_lab.circuits import Readout
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.cost import calibration
from qtha_lab.experiment.cost.preview import Cancelled, Preview, batch_of, passes
from qtha_lab.experiment.cost.step import circuit_runs
from qtha_lab.experiment.plan import Plan, resolve
from qtha_lab.experiment.run_directory import queue
from qtha_lab.simulators.engine_selection import refusal
from qtha_lab.simulators.registry import ENGINES

SAME = ("lightning.qubit",)  # engine "lightning" under Lightning's own name


@dataclass(frozen=True)
class EngineCost:
    """Duration of a training step with one engine.

    Attributes:
        engine: Name of the engine.
        seconds: Seconds of a step's circuits; None if the engine does not run here.
        step_seconds: Seconds of the whole step.
        reason: Reason why "auto" selects or rejects the engine, or why it does not run.
        automatic: True if "auto" selects the engine.
        chosen: True if the experiment's setting selects the engine.
    """

    engine: str
    seconds: float | None
    step_seconds: float | None
    reason: str
    automatic: bool
    chosen: bool


def engines() -> list[str]:
    """Return the names of all engines that can simulate a circuit."""
    infos = sorted(ENGINES.values(), key=lambda info: (info.place, info.name))
    families = ((i.name, *i.variants) for i in infos if i.listed and not i.has_options)
    return [name for family in families for name in family if name not in SAME]


def engine_costs(
    experiment: Experiment, preview: Preview, cancelled: Callable[[], bool] = lambda: False
) -> list[EngineCost]:
    """Return a row per engine, the fastest first; no row for a method without circuits.

    Args:
        experiment: Experiment to predict.
        preview: Preview of the experiment, with the seconds of the rest of the step.
        cancelled: Checked between engines; raises `Cancelled` once it returns True.

    Raises:
        Refusal: For the reasons of `preview`.
    """
    if preview.simulation is None:
        return []
    plan = resolve(experiment)
    rest = preview.seconds_per_step - preview.parts["circuit"]
    costs = []
    with calibration.threads(queue.n_threads(experiment.training.threads)):
        for name in engines():
            if cancelled():
                raise Cancelled
            costs.append(_cost(plan, name, preview, rest))
    return sorted(costs, key=lambda cost: math.inf if cost.seconds is None else cost.seconds)


def _cost(plan: Plan, name: str, preview: Preview, rest: float) -> EngineCost:
    batch, repeats = batch_of(plan), passes(plan.experiment)
    device = calibration.device().type
    runs = circuit_runs(plan.circuits, batch.rows * batch.length)
    (circuit, samples), _ = max(runs.items(), key=lambda run: run[0][1] * run[1])
    chosen = preview.simulation is not None and preview.simulation.engine == name
    why = simulators.explain(circuit, samples, device=device)
    automatic, reason = name == why.engine, why.reasons.get(name, "runs only when named")
    reasons = [refusal(name, c, Readout.z(c.n_qubits), device, False, n) for c, n in runs]
    if any(reasons):
        return EngineCost(name, None, None, next(filter(None, reasons)), automatic, chosen)
    seconds = preview.parts["circuit"]
    if not (
        chosen and seconds
    ):  # a busy machine may have hidden the circuits in the rest of the step
        times = [simulators.estimate(*run, name, device).seconds or 0.0 for run in runs]
        layers = zip(times, runs.values(), strict=True)
        seconds = repeats.of_time * sum(time * count for time, count in layers)
    return EngineCost(name, seconds, rest + seconds, reason, automatic, chosen)
