"""What an experiment will cost, before it starts: parameters, seconds a step, the circuit.

Loads no weights: sizes come from the meta device, times from `qtha_lab.calibration`. The figure for a
step assumes a machine that does nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import nn
from transformers import AutoTokenizer

from qtha_lab import adapters, calibration, simulators
from qtha_lab.experiment import Experiment, refusals
from qtha_lab.models.catalogue import locate
from qtha_lab.rundir import slots
from qtha_lab.tasks import Task

SAMPLED_ROWS = 64
LONGEST_TRIAL = (
    0.5  # seconds of circuits a block; beyond, their estimate stands for the whole adapter
)


@dataclass(frozen=True)
class Preview:
    """The expected cost of an experiment.

    `parts` sums to `seconds_per_step`: "base" (the frozen model), "adapter" (matrices), "circuit".
    """

    trainable_parameters: int
    base_parameters: int
    circuit_text: str | None
    seconds_per_step: float
    parts: dict[str, float]
    warnings: list[str] = field(default_factory=list)


def preview(experiment: Experiment) -> Preview:
    """Predict what an experiment costs; the first call for a model measures for about a second.

    Raises:
        ValueError: As `Experiment.check`, but for the disk.
    """
    refusals.check_names(experiment)
    task = refusals.load_rows(experiment)
    refusals.check_rows(experiment, task)
    model = refusals.empty_model(experiment, task)
    config = refusals.peft_config(experiment, task.kind)
    trainable = adapters.count_trainable(model, config)
    circuit = adapters.circuit_of(config)
    with calibration.threads(slots.n_threads(experiment.training.threads)):
        parts = step_parts(experiment, task, model, config)
    return Preview(
        trainable_parameters=trainable,
        base_parameters=model.num_parameters(),
        circuit_text=circuit.draw() if circuit else None,
        seconds_per_step=sum(parts.values()),
        parts=parts,
        warnings=warnings(experiment, model, config),
    )


def step_parts(experiment: Experiment, task: Task, model: nn.Module, config) -> dict[str, float]:
    """Seconds of one optimiser step, by what they are spent on."""
    training = experiment.training
    batch = calibration.Batch(
        training.batch_size, mean_length(experiment, task), getattr(torch, training.precision)
    )
    circuit = circuit_seconds(model, config, batch.rows * batch.length)
    if calibration.fits(model) and circuit < LONGEST_TRIAL * model.config.num_hidden_layers:
        added = calibration.added_seconds(model, config, batch)
    else:
        added = circuit
    base = calibration.base_seconds(model, batch)
    circuit = min(circuit, added)
    passes = training.gradient_accumulation * (1.5 if training.gradient_checkpointing else 1)
    parts = {"base": base, "adapter": added - circuit, "circuit": circuit}
    return {name: seconds * passes for name, seconds in parts.items()}


def circuit_seconds(model: nn.Module, config, tokens: int) -> float:
    """Seconds of all circuits of a batch, one a token and adapted layer."""
    circuit = adapters.circuit_of(config)
    if circuit is None:
        return 0.0
    each = simulators.estimate(circuit, tokens, config.engine).seconds
    return each * calibration.n_adapted(model, config)


def mean_length(experiment: Experiment, task: Task) -> int:
    """The usual width of a padded training batch, in tokens."""
    tokenizer = AutoTokenizer.from_pretrained(locate(experiment.model), trust_remote_code=False)
    encoded = task.encode(task.train[:SAMPLED_ROWS], tokenizer, experiment.training.max_length)
    size = experiment.training.batch_size
    lengths = [len(row["input_ids"]) for row in encoded]
    widths = [max(lengths[i : i + size]) for i in range(0, len(lengths), size)]
    return math.ceil(sum(widths) / len(widths))


def warnings(experiment: Experiment, model: nn.Module, config) -> list[str]:
    """What a person should know before the start, in sentences."""
    found = [adapters.size_warning(model, config)] if experiment.method.name != "lora" else []
    if not calibration.fits(model):
        found.append(
            "the model is too large to be tried here: its time is worked out from matrix products alone"
        )
    return [sentence for sentence in found if sentence]
