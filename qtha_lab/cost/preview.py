"""What an experiment will cost, before it starts: parameters, seconds a step, the circuit.

Loads no weights: sizes come from the meta device, times from `qtha_lab.cost.measured`. The figure for a
step assumes a machine that does nothing else.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import nn

from qtha_lab import adapters, simulators
from qtha_lab.circuits import Circuit
from qtha_lab.cost import measured
from qtha_lab.experiment import Experiment, memory, refusals
from qtha_lab.rundir import slots
from qtha_lab.tasks import Task

LONGEST_TRIAL = (
    0.2  # seconds of circuits a block; beyond, their estimate stands for the whole adapter
)


@dataclass(frozen=True)
class Simulation:
    """The circuits of one optimiser step, with their slopes: what runs them, how many, how long.

    Attributes:
        engine: Which runs them, or the most of them where circuits differ.
        why: Why that one.
        circuits: As `simulators.Estimate` counts them.
        seconds: None where it is not known, and `note` says why.
        bytes: At the peak, with what is kept for the backward pass.
        shots: Samples drawn in all; None if answers are exact.
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
        """The bytes as people say them."""
        if self.bytes < 2**20:
            return f"{self.bytes / 2**10:,.0f} KiB"
        return f"{self.bytes / 2**20:,.1f} MiB"

    def __str__(self) -> str:
        took = "in a time that is not known" if self.seconds is None else f"in {self.seconds:.2g} s"
        drawn = "" if self.shots is None else f", {self.shots:,} shots"
        return (
            f"{self.circuits:,} circuits a step {took}, {self.memory}{drawn}, "
            f"engine {self.engine} ({self.why})"
        )


@dataclass(frozen=True)
class Preview:
    """The expected cost of an experiment.

    `parts` sums to `seconds_per_step`: "base" (the frozen model), "adapter" (matrices), "circuit".
    `simulation` is what "circuit" is spent on, None for a method without circuits.
    """

    trainable_parameters: int
    base_parameters: int
    circuit_text: str | None
    seconds_per_step: float
    parts: dict[str, float]
    warnings: list[str] = field(default_factory=list)
    simulation: Simulation | None = None


class Cancelled(Exception):  # noqa: N818  an end that was asked for is no error
    """Nobody waits for a preview any more."""


def preview(experiment: Experiment, cancelled: Callable[[], bool] = lambda: False) -> Preview:
    """Predict what an experiment costs; the first call for a model measures for about a second.

    Args:
        experiment: What would be run.
        cancelled: Asked between stages; once true, the work ends with `Cancelled`.

    Raises:
        ValueError: As `Experiment.check`, but for the disk.
    """

    def go_on() -> None:
        if cancelled():
            raise Cancelled

    go_on()
    task, model, config, trainable, needed = refusals.examine(experiment, go_on)
    batch = batch_of(experiment, task)
    go_on()
    with measured.threads(slots.n_threads(experiment.training.threads)):
        go_on()  # another may have measured meanwhile
        simulation = simulation_of(model, config, batch, passes(experiment))
        if simulation:
            memory.check_memory(needed | {"circuits": max(simulation.bytes, needed["circuits"])})
        go_on()
        tried = measured.fits(model, trainable)
        parts = step_parts(experiment, model, config, batch, simulation, tried)
    if simulation and simulation.seconds is not None:
        simulation = replace(simulation, seconds=parts["circuit"])
    return Preview(
        trainable_parameters=trainable,
        base_parameters=model.num_parameters(),
        circuit_text="\n\n".join(c.draw() for c in adapters.circuits_of(model, config)) or None,
        seconds_per_step=sum(parts.values()),
        parts=parts,
        warnings=warnings(experiment, model, config, trainable, simulation),
        simulation=simulation,
    )


def step_parts(
    experiment: Experiment,
    model: nn.Module,
    config,
    batch: measured.Batch,
    simulation: Simulation | None,
    tried: bool,
) -> dict[str, float]:
    """Seconds of one optimiser step, by what they are spent on; circuits of unknown time count none.

    Args:
        tried: Whether an adapter of this size can be timed; else its matrices count none.
    """
    repeats = passes(experiment).of_time
    known = simulation is None or simulation.seconds is not None
    circuit = simulation.seconds / repeats if simulation and known else 0.0
    if not known:  # nothing is sent to a machine elsewhere to try it
        config = copy.deepcopy(config)
        config.engine = "auto"
    if tried and circuit < LONGEST_TRIAL * model.config.num_hidden_layers:
        added = measured.added_seconds(model, config, batch)
    else:
        added = circuit
    base = measured.base_seconds(model, batch)
    circuit = min(circuit, added)
    parts = {"base": base, "adapter": added - circuit, "circuit": circuit}
    return {name: seconds * repeats for name, seconds in parts.items()}


def batch_of(experiment: Experiment, task: Task) -> measured.Batch:
    """What goes through the model at once."""
    training = experiment.training
    dtype = getattr(torch, training.precision)
    return measured.Batch(training.batch_size, mean_length(experiment, task), dtype)


class Passes(NamedTuple):
    """How many batches a step takes, and as how many their time counts."""

    batches: int
    of_time: float


def passes(experiment: Experiment) -> Passes:
    """Accumulation repeats a batch; recomputing in the backward pass adds half of its time."""
    training = experiment.training
    batches = training.gradient_accumulation
    return Passes(batches, batches * (1.5 if training.gradient_checkpointing else 1))


def simulation_of(
    model: nn.Module, config, batch: measured.Batch, repeats: Passes
) -> Simulation | None:
    """What the circuits of a step cost, one a token and adapted layer where they read data."""
    runs = circuit_runs(model, config, batch.rows * batch.length)
    if not runs:
        return None
    device, asked = measured.device().type, getattr(config, "engine", "auto")
    costs = [simulators.estimate(*run, asked, device) for run in runs]
    pairs = list(zip(costs, runs.values(), strict=True))  # of one layer, in how many layers
    (circuit, samples), largest = max(
        zip(runs, costs, strict=True), key=lambda one: one[1].circuits
    )
    seconds = [cost.seconds * layers for cost, layers in pairs if cost.seconds is not None]
    shots = [cost.shots * layers for cost, layers in pairs if cost.shots is not None]
    working = max(cost.bytes - cost.kept_bytes for cost in costs)
    return Simulation(
        engine=largest.engine,
        why=simulators.explain(circuit, samples, asked, device=device).reasons[largest.engine],
        circuits=repeats.batches * sum(cost.circuits * layers for cost, layers in pairs),
        seconds=repeats.of_time * sum(seconds) if len(seconds) == len(pairs) else None,
        bytes=working + sum(cost.kept_bytes * layers for cost, layers in pairs),
        shots=repeats.batches * sum(shots) if shots else None,
        note=largest.note,
    )


def circuit_runs(model: nn.Module, config, tokens: int) -> dict[tuple[Circuit, int], int]:
    """How many layers run each circuit on how many samples, in a forward pass."""
    circuits = adapters.circuits_of(model, config)
    return {(c, tokens if c.n_inputs else 1): layers for c, layers in circuits.items()}


def mean_length(experiment: Experiment, task: Task) -> int:
    """The usual width of a padded training batch, in tokens."""
    size = experiment.training.batch_size
    lengths = refusals.row_lengths(experiment, task)
    widths = [max(lengths[i : i + size]) for i in range(0, len(lengths), size)]
    return math.ceil(sum(widths) / len(widths))


def warnings(
    experiment: Experiment,
    model: nn.Module,
    config,
    trainable: int,
    simulation: Simulation | None = None,
) -> list[str]:
    """What a person should know before the start, in sentences."""
    found = [adapters.size_warning(model, config)] if experiment.method.name != "lora" else []
    found.append(adapters.first_step_warning(model, config, experiment.method.peak_learning_rate))
    if not measured.fits(model):
        found.append(
            "the model is too large to be tried here: its time is worked out from matrix products alone"
        )
    elif not measured.fits(model, trainable):
        found.append("the adapter is too large to be tried here: its matrices' time is left out")
    if simulation and simulation.note:
        found.append(f"the step's time is that of the rest: {simulation.note}")
    return [sentence for sentence in found if sentence]
