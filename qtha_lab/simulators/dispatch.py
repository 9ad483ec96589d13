"""Dispatch of a batch to its engine, with a cache per kind.

`engine_selection` lists the engines and their refusals.
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
    """Compute the read-out of a flat batch with the selected engine.

    Args:
        circuit: Circuit to run.
        readout: Read-out to compute.
        inputs: (batch, n_inputs), float32 or float64; unit vectors for amplitude encoding.
        params: (n_params,), of the same dtype and device.
        engine: Engine name, "auto" included.
        transformed: Whether a torch.func transform wraps the tensors.

    Returns:
        (batch, readout size), as `Engine.run` returns it.

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
    """Return the name and the object of the engine that runs a batch, after `check_call`.

    Args:
        engine: Engine name, "auto" included.
        circuit: Circuit to run.
        readout: Read-out to compute.
        device: Type of the tensors' device.
        transformed: Whether a torch.func transform wraps the tensors.
        batch: Number of samples.

    Returns:
        The engine's name with its options, never "auto", and the engine.

    Raises:
        Refusal: As `check_call`.

    Example:
        >>> route("auto", Circuit(9, []), Readout.z(9), "cuda", False, 1)[0]
        'torch'
    """
    situation = circuit, readout, device, transformed, batch
    return cached_route(ENGINES.revision, engine, *situation) or _fresh(engine, *situation)


@functools.lru_cache(maxsize=1024)
def cached_route(revision: int, engine: str, *situation) -> tuple[str, Engine] | None:
    """Return the cached engine of a kind of batch, or None if free memory matters.

    `revision` is the registry's revision: a newly registered engine invalidates the cache.
    """
    name, running = _fresh(engine, *situation)
    circuit, *_, batch = situation
    needed = running.working_bytes(circuit, max(batch, 1), name)
    return (name, running) if needed < SMALL_BYTES else None


def _fresh(engine: str, *situation) -> tuple[str, Engine]:
    name = choose(engine, *situation)
    check_call(name, *situation)
    return name, engine_of(name)
