"""Which engine runs a batch, worked out once for every kind of batch, and the run itself.

Which engines there are and what each refuses is `engines`; here is only what of it can be kept.
"""

import functools

from torch import Tensor

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.simulators.engine_selection import check_call, choose, engine_of
from qtha_lab.simulators.memory import SMALL_BYTES
from qtha_lab.simulators.registry import ENGINES, Engine


def evaluate(
    circuit: Circuit,
    readout: Readout,
    inputs: Tensor,
    params: Tensor,
    engine: str,
    transformed: bool = False,
) -> Tensor:
    """What an engine reads of a flat batch.

    Args:
        circuit: What to run.
        readout: What to read.
        inputs: (batch, n_inputs), float32 or float64; unit vectors if the circuit starts in amplitudes.
        params: (n_params,), of the same dtype and device.
        engine: As asked for, "auto" or any other.
        transformed: Whether torch.func is at work.

    Returns:
        (batch, readout size), as `Engine.run` gives it.

    Raises:
        Refusal: If the engine is unknown or cannot run the batch.
    """
    batch = inputs.shape[0]
    name, running = route(engine, circuit, readout, inputs.device.type, transformed, batch)
    if not batch:
        return inputs.new_zeros(0, readout.size(circuit.n_qubits))
    return running.run(circuit, inputs, params, readout, name)


def route(
    engine: str, circuit: Circuit, readout: Readout, device: str, transformed: bool, batch: int
) -> tuple[str, Engine]:
    """The engine that runs a batch, by its name and itself, after `check_call`.

    Args:
        engine: As asked for, "auto" or any other.
        circuit: What is to be run.
        readout: What is to be read.
        device: The type of the tensors' device.
        transformed: Whether torch.func is at work.
        batch: Samples.

    Returns:
        A name that says which engine and how, never "auto", and what answers to it.

    Raises:
        Refusal: As `check_call`.

    Example:
        >>> route("auto", Circuit(9, []), Readout.z(9), "cuda", False, 1)[0]
        'torch'
    """
    situation = circuit, readout, device, transformed, batch
    return kept_route(ENGINES.revision, engine, *situation) or _fresh(engine, *situation)


@functools.lru_cache(maxsize=1024)
def kept_route(revision: int, engine: str, *situation) -> tuple[str, Engine] | None:
    """The route of before, after a registry's revision; None where the answer depends on how much memory is free at the moment."""
    name, running = _fresh(engine, *situation)
    circuit, *_, batch = situation
    needed = running.working_bytes(circuit, max(batch, 1), name)
    return (name, running) if needed < SMALL_BYTES else None


def _fresh(engine: str, *situation) -> tuple[str, Engine]:
    name = choose(engine, *situation)
    check_call(name, *situation)
    return name, engine_of(name)
