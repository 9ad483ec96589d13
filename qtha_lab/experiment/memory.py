"""Whether an experiment fits into memory: what it needs at least, against what is free.

Counts what certainly is there at once; what libraries, rows and evaluation take beside it is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from qtha_lab.core import memory_reservations as reserved
from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal

if TYPE_CHECKING:
    import torch
    from peft import PeftConfig
    from transformers import PreTrainedModel

    from qtha_lab.circuits import Circuit
    from qtha_lab.experiment.experiment import Training

BYTES = {"float32": 4, "bfloat16": 2}
TRAINED_BYTES = 16  # float32 weight, gradient and the two moments of AdamW
# Numbers per token and block that the backward pass needs, times the hidden size: both norms' inputs, and
# what attention and feed-forward put beside them. Lower than what any architecture tried here keeps.
ACTIVATIONS_PER_BLOCK = 8


def device() -> torch.device:
    """Where a worker would train."""
    import torch

    if not torch.accelerator.is_available():
        return torch.device("cpu")
    return torch.accelerator.current_accelerator() or torch.device("cpu")


def check_memory(needed: Mapping[str, int]) -> None:
    """Refuse bytes, by what takes them, that are more than are free once the runs that go on have ended.

    Raises:
        Refusal: With both numbers, and what takes the most.
    """
    others = reserved.reservations(paths.runs_dir() / ".slots")
    free, total = _free_alone(others), sum(needed.values())
    if total > free:
        largest = max(needed, key=needed.__getitem__)
        then = " once other runs have ended" if others else ""
        raise Refusal(
            f"the run needs at least {_gib(total)} of memory, {_gib(needed[largest])} of it for "
            f"{largest}, and {_gib(free)} are free{then}"
        )


def _free_alone(others: Iterable[reserved.Reservation]) -> int:
    """Bytes that would be free without other runs."""
    from qtha_lab.simulators.memory import free_bytes

    place, others = device(), list(others)
    if place.type == "cuda" and others:  # whose card it is now cannot be told
        import torch

        return torch.cuda.mem_get_info(place)[1]
    return free_bytes(place) + sum(run.taken for run in others)


def lacking(needed: Mapping[str, int], others: Iterable[reserved.Reservation]) -> str | None:
    """Why bytes would not fit beside runs that go on, in a sentence; None if they fit, or if nobody else is there.

    Args:
        needed: By what takes them. On a card nothing is lacking, since a run has it alone.
        others: What the runs beside it have asked for.
    """
    from qtha_lab.simulators.memory import free_bytes

    others, total = list(others), sum(needed.values())
    free = free_bytes(device()) - sum(run.to_come for run in others)
    if not others or total <= free or device().type != "cpu":
        return None
    return f"waits for memory: needs {_gib(total)}, {_gib(max(0, free))} are free beside the runs that go on"


def bytes_needed(
    training: Training,
    model: PreTrainedModel,
    config: PeftConfig,
    *,
    trainable: int,
    circuits: Iterable[Circuit],
    width: int,
) -> dict[str, int]:
    """Bytes that are in use at once while a batch of rows goes through, at least.

    Args:
        training: Rows in a batch, precision, whether activations are recomputed, and processes, each with a
            model of its own and on a GPU of its own if there are any.
        model: The base; may be on the meta device.
        config: Of the adapter; names the engine of its circuits.
        trainable: Numbers the adapter trains.
        circuits: All that it runs.
        width: Tokens of a row.

    Returns:
        Bytes, by what takes them.
    """
    tokens = training.rows_at_once * width
    models = 2 if training.teacher else 1
    copies = training.processes if device().type == "cpu" else 1
    return {
        "the model's weights": copies * models * model.num_parameters() * BYTES[training.precision],
        "the adapter and its optimiser": copies * TRAINED_BYTES * trainable,
        "activations": tokens * _activation_bytes(model, training),
        "circuits": _circuit_bytes(config, circuits, tokens),
    }


def _activation_bytes(model: PreTrainedModel, training: Training) -> int:
    """Of one token: what every block keeps, then what the loss reads of the vocabulary, in float32."""
    config, writes = model.config, "CausalLM" in type(model).__name__
    activations = 1 if training.gradient_checkpointing else ACTIVATIONS_PER_BLOCK
    numbers = config.num_hidden_layers * config.hidden_size * activations
    blocks = numbers * BYTES[training.precision]
    return blocks + (4 * config.vocab_size if writes else 0)


def _circuit_bytes(config: PeftConfig, circuits: Iterable[Circuit], tokens: int) -> int:
    """Of the largest call of a simulator; one layer's circuits run at a time."""
    from qtha_lab.circuits import Readout
    from qtha_lab.simulators.engine_selection import choose, engine_of

    most = 0
    for circuit in circuits:
        samples, readout = tokens if circuit.n_inputs else 1, Readout.z(circuit.n_qubits)
        name = getattr(config, "engine", "auto")
        engine = choose(name, circuit, readout, device().type, batch=samples)
        most = max(most, engine_of(engine).working_bytes(circuit, samples, engine))
    return most


def _gib(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB"
