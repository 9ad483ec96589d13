"""Sizes of an experiment that are known before its times: parameters, memory and steps.

Nothing is measured and no kernel is compiled. The table of trained parameters by rank reads the
config of a model alone, so a model of any size can be counted.

Each engine is measured once on the adapter's circuits, for about a second; the rest of the step
comes from the preview.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from qtha_lab import simulators
from qtha_lab.adapters import get_method
from qtha_lab.adapters.adapted_model import count_trainable
from qtha_lab.circuits import Readout
from qtha_lab.core.errors import Refusal
from qtha_lab.core.paths import as_path
from qtha_lab.experiment import Experiment, memory, validation
from qtha_lab.experiment.cost import calibration
from qtha_lab.experiment.cost.preview import Cancelled, Preview, batch_of, passes
from qtha_lab.experiment.cost.shapes import SHAPES, ModelShape, get_shape, shape_of
from qtha_lab.experiment.cost.step import circuit_runs
from qtha_lab.experiment.method_choice import MethodChoice
from qtha_lab.experiment.plan import Plan, resolve
from qtha_lab.experiment.run_directory import queue
from qtha_lab.models.catalogue import folder_of
from qtha_lab.models.config_files import load_config
from qtha_lab.simulators.engine_selection import refusal
from qtha_lab.simulators.registry import ENGINES


@dataclass(frozen=True)
class ExperimentSizes:
    """Sizes of an experiment; `bytes` is the predicted peak memory of its run."""

    trainable_parameters: int
    base_parameters: int
    bytes: int
    steps: int

    @property
    def memory(self) -> str:
        """The predicted peak memory as text."""
        return f"{self.bytes / 2**20:,.0f} MiB"


def sizes(experiment: Experiment, cancelled: Callable[[], bool] = lambda: False) -> ExperimentSizes:
    """Compute the sizes of an experiment.

    Args:
        experiment: Experiment to predict.
        cancelled: Checked between stages of the work; raises `Cancelled` once it returns True.

    Raises:
        Refusal: For the reasons of `Experiment.check`, except disk space.

    Example:
        >>> sizes(Experiment(method="lora(r=2)")).trainable_parameters
        7680
    """

    def go_on() -> None:
        if cancelled():
            raise Cancelled

    go_on()
    plan = resolve(experiment)
    validation.check_plan(plan, go_on)
    go_on()
    return ExperimentSizes(
        trainable_parameters=plan.layout.trainable,
        base_parameters=plan.model.num_parameters(),
        bytes=memory.peak_bytes(plan.bytes, experiment.training, plan.model, max(plan.row_lengths)),
        steps=plan.steps,
    )


MOST_RANK = 4096


class ParameterCount(NamedTuple):
    """Trained parameters of a method at one rank.

    Attributes:
        r: Rank.
        method: Label of the method without its rank.
        per_block: Parameters of one transformer block.
        in_all: Parameters of the whole model.
        change: Share of the first method's parameters at this rank, minus 1.
    """

    r: int
    method: str
    per_block: int
    in_all: int
    change: float


def parameter_table(
    model: str, methods: Sequence[MethodChoice], ranks: Sequence[int], targets: Sequence[str] | str
) -> list[ParameterCount]:
    """Count the parameters of methods at several ranks, by rank, then by method.

    Raises:
        Refusal: If the model, a method or a module is unknown, or a rank is below 1.

    Example:
        >>> methods = [MethodChoice.parse(m) for m in ("lora", "qtha(size=paper,n_layers=1)")]
        >>> lora, qtha = parameter_table("qwen2-7b", methods, [10], ["q_proj", "v_proj"])
        >>> lora.per_block, qtha.per_block, f"{qtha.change:.1%}"
        (112640, 26880, '-76.1%')

    Source:
        The comparison of parameters in arXiv:2503.12790, which states 76 % fewer.
    """
    shape = _shape(model)
    names = shape.targets(targets if isinstance(targets, str) else list(targets))
    skeleton = shape.skeleton(names)
    rows: list[ParameterCount] = []
    for r in ranks:
        if not 1 <= r <= MOST_RANK:
            raise Refusal(f"ranks must be 1 to {MOST_RANK:,}, got {r}.")
        counts = []
        for choice in methods:
            options: dict[str, Any] = choice.options | {"r": r}
            config = get_method(choice.name).make_config(target_modules=names, **options)
            counts.append(count_trainable(skeleton, config))
        for choice, count in zip(methods, counts, strict=True):
            change = count / counts[0] - 1
            rows.append(
                ParameterCount(r, choice.label, round(count / shape.n_blocks), count, change)
            )
    return rows


def _shape(model: str) -> ModelShape:
    if model in SHAPES:
        return get_shape(model)
    folder = as_path(model)
    if not (folder / "config.json").is_file():
        folder = folder_of(model, "causal-lm")
    return shape_of(load_config(folder, None), model)


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
