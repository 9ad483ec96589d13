"""Memory check of an experiment: minimum need against free memory.

Counts only memory that is certainly in use at once; libraries, rows and evaluation are excluded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from qtha_lab.core import paths, processes
from qtha_lab.core.errors import Refusal

if TYPE_CHECKING:
    import torch
    from peft import PeftConfig
    from transformers import PreTrainedModel

    from qtha_lab.circuits import Circuit
    from qtha_lab.experiment.training import Training

BYTES = {"float32": 4, "bfloat16": 2}
TRAINED_BYTES = 16  # float32 weight, gradient and the two moments of AdamW
# Numbers per token and block that the backward pass needs, times the hidden size: inputs of
# both norms, and intermediate values of attention and feed-forward. A lower bound for every
# architecture tested.
ACTIVATIONS_PER_BLOCK = 8
LIBRARY_BYTES = 16 * 2**20  # working memory of libraries in a run of the toy model, measured
# Half of the measured 52 MiB of the circuit kernels: a run alone loads them, a forked run has them.
KERNEL_BYTES = 26 * 2**20


def device() -> torch.device:
    """Return the device on which a worker would train."""
    import torch

    if not torch.accelerator.is_available():
        return torch.device("cpu")
    return torch.accelerator.current_accelerator() or torch.device("cpu")


def check_memory(needed: Mapping[str, int]) -> None:
    """Refuse a need above the memory that is free after all other runs have ended.

    Raises:
        Refusal: With both numbers, and the largest purpose.
    """
    others = processes.reservations(paths.runs_dir() / ".slots")
    free, total = _free_alone(others), sum(needed.values())
    if total > free:
        largest = max(needed, key=needed.__getitem__)
        then = " once other runs have ended" if others else ""
        raise Refusal(
            f"The free memory must be at least {_gib(total)}, got {_gib(free)}{then}. The largest "
            f"part is {_gib(needed[largest])} for {largest}."
        )


def _free_alone(others: Iterable[processes.Reservation]) -> int:
    """Return the bytes that would be free without other runs."""
    from qtha_lab.simulators.engine_selection import free_bytes

    place, others = device(), list(others)
    if place.type == "cuda" and others:  # another run's share of the card's memory is unknown
        import torch

        return torch.cuda.mem_get_info(place)[1]
    return free_bytes(place) + sum(run.taken for run in others)


def lacking(needed: Mapping[str, int], others: Iterable[processes.Reservation]) -> str | None:
    """Describe why bytes do not fit beside other runs; None if they fit.

    Also None if no other run exists.
    """
    from qtha_lab.simulators.engine_selection import free_bytes

    others, total = list(others), sum(needed.values())
    free = free_bytes(device()) - sum(run.to_come for run in others)
    if not others or total <= free or device().type != "cpu":
        return None
    beside = f"{_gib(max(0, free))} are free beside the running runs"
    return f"waits for memory: needs {_gib(total)}, {beside}"


def bytes_needed(
    training: Training,
    model: PreTrainedModel,
    config: PeftConfig,
    *,
    trainable: int,
    circuits: Iterable[Circuit],
    width: int,
) -> dict[str, int]:
    """Estimate the minimum bytes in use at once during a training step.

    Returns:
        Bytes by purpose.
    """
    tokens = training.rows_per_pass * width
    models = 2 if training.teacher_run else 1
    return {
        "the model's weights": models * model.num_parameters() * BYTES[training.precision],
        "the adapter and its optimiser": TRAINED_BYTES * trainable,
        "activations": tokens * _activation_bytes(model, training),
        "circuits": _circuit_bytes(config, circuits, tokens),
    }


def peak_bytes(
    needed: Mapping[str, int], training: Training, model: PreTrainedModel, width: int
) -> int:
    """Predict the peak memory of a run from the minimum bytes of its steps.

    The backward pass of the loss adds two gradients of the size of all logits.
    """
    gradients = 2 * training.rows_per_pass * width * _logit_bytes(model)
    kernels = KERNEL_BYTES if needed["circuits"] else 0
    return sum(needed.values()) + gradients + LIBRARY_BYTES + kernels


def _logit_bytes(model: PreTrainedModel) -> int:
    """Return the bytes of one token's logits in float32; 0 for a model with classes."""
    return 4 * model.config.vocab_size if "CausalLM" in type(model).__name__ else 0


def _activation_bytes(model: PreTrainedModel, training: Training) -> int:
    """Estimate the activation bytes of one token.

    Counts the stored values of every block, and the loss's logits in float32.
    """
    config = model.config
    activations = 1 if training.gradient_checkpointing else ACTIVATIONS_PER_BLOCK
    numbers = config.num_hidden_layers * config.hidden_size * activations
    blocks = numbers * BYTES[training.precision]
    return blocks + _logit_bytes(model)


def _circuit_bytes(config: PeftConfig, circuits: Iterable[Circuit], tokens: int) -> int:
    """Estimate the bytes of the largest simulator call.

    The circuits of one layer run at a time.
    """
    from qtha_lab.simulators.engine_selection import engine_of, likely

    most = 0
    for circuit in circuits:
        samples = tokens if circuit.n_inputs else 1
        engine = likely(getattr(config, "engine", "auto"), device().type)
        most = max(most, engine_of(engine).working_bytes(circuit, samples, engine))
    return most


def _gib(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB"
