"""Preview of an experiment's cost before it starts: parameters, seconds per step and circuits.

Loads no weights: sizes come from the meta device, times from
`qtha_lab.experiment.cost.calibration`. The seconds per step assume that nothing else runs on the
machine.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch

from qtha_lab import simulators
from qtha_lab.adapters.budget import first_step_sentence, size_sentence
from qtha_lab.adapters.heads import layer_name
from qtha_lab.adapters.peft.model import unadapted_experts_note
from qtha_lab.experiment import Experiment, memory, validation
from qtha_lab.experiment.cost import calibration
from qtha_lab.experiment.cost.step import circuit_runs
from qtha_lab.experiment.description import RunDescription
from qtha_lab.experiment.objectives import Preference, Reinforce
from qtha_lab.experiment.plan import Plan, resolve
from qtha_lab.experiment.run_directory import queue
from qtha_lab.models.quantisation.formats import fake_quantised_sentence
from qtha_lab.simulators.engine_costs import LARGE_QUBITS
from qtha_lab.simulators.engine_selection import automatic

# seconds of circuits per block; longer circuit times count as the whole adapter's time
LONGEST_TRIAL = 0.2


@dataclass(frozen=True)
class Simulation:
    """Circuits of one optimiser step, gradients included: engine, number, duration and memory.

    Attributes:
        engine: Engine that runs them; if circuits differ, the engine of the most frequent one.
        why: Reason for the choice of the engine.
        circuits: Number of circuit runs, as `simulators.Estimate` counts them.
        seconds: Duration; None if unknown, and `note` then gives the reason.
        bytes: Peak memory, including states stored for the backward pass.
        shots: Total number of shots; None for exact expectation values.
    """

    engine: str
    why: str
    circuits: int
    seconds: float | None
    bytes: int
    shots: int | None = None
    note: str = ""

    @property
    def memory(self) -> str:
        """Peak memory as text in KiB or MiB."""
        if self.bytes < 2**20:
            return f"{self.bytes / 2**10:,.0f} KiB"
        return f"{self.bytes / 2**20:,.1f} MiB"

    def __str__(self) -> str:
        duration = (
            "in a time that is not known" if self.seconds is None else f"in {self.seconds:.2g} s"
        )
        shots = "" if self.shots is None else f", {self.shots:,} shots"
        return (
            f"{self.circuits:,} circuits per step {duration}, {self.memory}{shots}, "
            f"engine {self.engine} ({self.why})"
        )


@dataclass(frozen=True)
class Preview:
    """Predicted cost of an experiment.

    `parts` sums to `seconds_per_step`: "base" (the frozen model), "adapter" (matrices), "circuit"
    and, if it is timed separately, "head". `simulation` describes the circuits; None for a method
    without circuits. `steps` is the number of steps of the whole run.
    """

    trainable_parameters: int
    base_parameters: int
    circuit_text: str | None
    seconds_per_step: float
    parts: dict[str, float]
    warnings: list[str] = field(default_factory=list)
    simulation: Simulation | None = None
    steps: int = 0


class Cancelled(Exception):  # noqa: N818  a requested cancellation is no error
    """Signal that a preview was cancelled."""


def preview(experiment: Experiment, cancelled: Callable[[], bool] = lambda: False) -> Preview:
    """Predict the cost of an experiment.

    The first call for a model measures for about a second.

    Args:
        experiment: Experiment to predict.
        cancelled: Checked between stages of the work; raises `Cancelled` once it returns True.

    Raises:
        Refusal: For the reasons of `Experiment.check`, except disk space.
    """

    def go_on() -> None:
        if cancelled():
            raise Cancelled

    go_on()
    plan = resolve(experiment)
    validation.check_plan(plan, go_on)
    go_on()
    with calibration.threads(queue.n_threads(experiment.training.threads)):
        go_on()  # another thread may have completed the measurement
        simulation = simulation_of(plan)
        if simulation:
            circuits = max(simulation.bytes, plan.bytes["circuits"])
            memory.check_memory({**plan.bytes, "circuits": circuits})
        go_on()
        parts = step_parts(plan, simulation)
    if simulation and simulation.seconds is not None:
        simulation = replace(simulation, seconds=parts["circuit"])
    return Preview(
        trainable_parameters=plan.layout.trainable,
        base_parameters=plan.model.num_parameters(),
        circuit_text="\n\n".join(circuit.draw() for circuit in plan.circuits) or None,
        seconds_per_step=sum(parts.values()),
        parts=parts,
        warnings=warnings(plan, simulation),
        simulation=simulation,
        steps=plan.steps,
    )


def step_parts(plan: Plan, simulation: Simulation | None) -> dict[str, float]:
    """Predict the seconds of one optimiser step by part.

    If only the head is trained, all other parts are 0. Circuits of unknown duration count as 0, and
    so do the matrices of an adapter that is too large to measure.
    """
    model, config, batch = plan.model, plan.config, batch_of(plan)
    repeats = passes(plan.experiment).of_time
    alone = plan.experiment.method.name == "none"
    head = {"head": _head_seconds(plan, batch) * repeats} if plan.reader or alone else {}
    if alone:
        return {"base": 0.0, "adapter": 0.0, "circuit": 0.0, **head}
    seconds = None if simulation is None else simulation.seconds
    circuit = (seconds or 0.0) / repeats
    if simulation and seconds is None:  # no circuit is sent to a remote backend for a measurement
        config = copy.deepcopy(config)
        vars(config).update(engine="auto")
    is_short = circuit < LONGEST_TRIAL * model.config.num_hidden_layers
    added = circuit
    if is_short and calibration.fits(model, plan.layout.trainable):
        added = calibration.added_seconds(model, config, batch)
    circuit = min(circuit, added)
    base = calibration.base_seconds(model, batch)
    parts = {"base": base, "adapter": added - circuit, "circuit": circuit}
    return {name: seconds * repeats for name, seconds in parts.items()} | head


def _head_seconds(plan: Plan, batch: calibration.Batch) -> float:
    layer: Any = getattr(plan.model, layer_name(plan.model))
    n_classes = plan.n_labels or 0
    return calibration.head_seconds(
        plan.reader or "linear", layer.in_features, n_classes, batch.rows, batch.length
    )


def batch_of(plan: Plan) -> calibration.Batch:
    """Return the size and number format of a training batch."""
    training = plan.experiment.training
    return calibration.Batch(
        training.rows_per_pass, mean_length(plan), getattr(torch, training.precision)
    )


class Passes(NamedTuple):
    """Number of batches per step, and the time factor of these batches."""

    batches: int
    of_time: float


def passes(experiment: RunDescription) -> Passes:
    """Compute the number of batches per step and their time factor.

    Gradient accumulation repeats a batch; recomputation in the backward pass adds half of its time.
    The forward pass of a preference's base model adds a third.
    """
    training = experiment.training
    batches = training.gradient_accumulation
    factor = 1.5 if training.gradient_checkpointing else 1
    if isinstance(training.objective, Preference):
        factor += 1 / 3
    return Passes(batches, batches * factor)


def simulation_of(plan: Plan) -> Simulation | None:
    """Estimate the circuits of a step; None for a method without circuits.

    A circuit with data inputs runs once per token and adapted layer.
    """
    batch, repeats = batch_of(plan), passes(plan.experiment)
    runs = circuit_runs(plan.circuits, batch.rows * batch.length)
    if not runs:
        return None
    device, engine = calibration.device().type, getattr(plan.config, "engine", "auto")
    costs = [simulators.estimate(*run, engine, device) for run in runs]
    pairs = list(zip(costs, runs.values(), strict=True))  # cost of one layer, number of layers
    (circuit, samples), largest = max(
        zip(runs, costs, strict=True), key=lambda pair: pair[1].circuits
    )
    seconds = [cost.seconds * layers for cost, layers in pairs if cost.seconds is not None]
    shots = [cost.shots * layers for cost, layers in pairs if cost.shots is not None]
    working = max(cost.bytes - cost.saved_bytes for cost in costs)
    rivals = automatic()
    why = simulators.explain(circuit, samples, engine, device=device, engines=rivals)
    return Simulation(
        engine=largest.engine,
        why=why.reasons[largest.engine],
        circuits=repeats.batches * sum(cost.circuits * layers for cost, layers in pairs),
        seconds=repeats.of_time * sum(seconds) if len(seconds) == len(pairs) else None,
        bytes=working + sum(cost.saved_bytes * layers for cost, layers in pairs),
        shots=repeats.batches * sum(shots) if shots else None,
        note=largest.note,
    )


def mean_length(plan: Plan) -> int:
    """Compute the mean width of a padded training batch, in tokens."""
    size, lengths = plan.experiment.training.batch_size, plan.row_lengths
    widths = [max(lengths[i : i + size]) for i in range(0, len(lengths), size)]
    return math.ceil(sum(widths) / len(widths))


def warnings(plan: Plan, simulation: Simulation | None = None) -> list[str]:
    """Describe the points to note before the start, in sentences."""
    method, layout = plan.experiment.method, plan.layout
    sentences = [first_step_sentence(layout.sizes, plan.config, method.peak_learning_rate)]
    if method.name != "lora":
        lora, lora_layout = plan.usual_lora
        counts = layout.trainable, lora_layout.trainable
        sentences.insert(0, size_sentence(plan.config, counts[0], lora, counts[1]))
    if not calibration.fits(plan.model):
        sentences.append(
            "The model is too large to be measured here; its time follows from matrix products "
            "alone."
        )
    elif not calibration.fits(plan.model, layout.trainable):
        sentences.append(
            "The adapter is too large to be measured here; the time of its matrices is excluded."
        )
    if isinstance(plan.experiment.training.objective, Reinforce):
        sentences.append(
            "the time that the model writes the answers in which are rewarded is left out"
        )
    sentences.append(unadapted_experts_note(plan.model))
    sentences.append(_large_sentence(plan, simulation))
    sentences.append(fake_quantised_sentence(plan.experiment.quantization))
    if simulation and simulation.note:
        sentences.append(f"the step's time is that of the rest: {simulation.note}")
    return [sentence for sentence in sentences if sentence]


def _large_sentence(plan: Plan, simulation: Simulation | None) -> str:
    """Describe the cost of circuits with many qubits.

    Returns "" if there is no such circuit or its duration is unknown.
    """
    n_qubits = max((circuit.n_qubits for circuit in plan.circuits), default=0)
    if n_qubits < LARGE_QUBITS or simulation is None or simulation.seconds is None:
        return ""
    return (
        f"circuits of {n_qubits} qubits ({2**n_qubits:,} amplitudes per sample) take "
        f"{simulation.seconds:.2g} s of each step "
        f"and {simulation.memory}; each qubit more doubles both"
    )
