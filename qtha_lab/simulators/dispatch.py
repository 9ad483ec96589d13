"""Runs of a circuit that a read-out requires, and their dispatch to an engine."""

import functools
from typing import Any, NamedTuple

import torch
from torch import Tensor

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.circuits.json_text import circuit_text, readout_text
from qtha_lab.circuits.readout import settings_of
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators.engine_selection import SMALL_BYTES, check_call, choose, engine_of
from qtha_lab.simulators.program import Products, without_products
from qtha_lab.simulators.registry import ENGINES, Engine

What = str | tuple[str, ...]  # "z", "probs", "state", or Pauli strings


class ReadoutRequest(NamedTuple):
    """Runs of a circuit, each with its read-out.

    Attributes:
        n_inputs: Numbers per sample.
        n_params: Number of trainable angles.
        from_amplitudes: Whether the inputs are the amplitudes of the initial state.
        runs: Circuit and read-out of each run; as text in a graph of torch.compile.
        order: Indices that sort the concatenated results of all runs into the requested order.
        products: Inputs and parameters whose products are further inputs of the runs.
        n_angles: Number of parameters that the runs read beside those products.
    """

    n_inputs: int
    n_params: int
    from_amplitudes: bool
    runs: tuple[tuple[Any, Any], ...]
    order: tuple[int, ...]
    products: Products
    n_angles: int


@functools.lru_cache(maxsize=1024)
def request_of(circuit: Circuit, what: What) -> ReadoutRequest:
    """Determine the runs of a circuit for a requested read-out.

    Raises:
        Refusal: If there is no Pauli string, or one does not fit the circuit.

    Example:
        >>> request_of(Circuit(2, []), ("X0", "Z1", "Z0")).order
        (0, 1, 2)
    """
    amplitudes = circuit.start == "amplitudes"
    if not what:
        raise Refusal("observables has no entry. Name a Pauli string.")
    n_inputs, n_params = circuit.n_inputs, circuit.n_params
    circuit, products = without_products(circuit)
    if isinstance(what, str):
        readout = Readout.z(circuit.n_qubits) if what == "z" else getattr(Readout, what)()
        runs, order = ((circuit, readout),), ()
    else:
        settings = settings_of(circuit, what)
        runs = tuple(setting[:2] for setting in settings)
        numbers = [number for *_, members in settings for number in members]
        order = tuple(numbers.index(number) for number in range(len(numbers)))
    return ReadoutRequest(n_inputs, n_params, amplitudes, runs, order, products, circuit.n_params)


@torch.compiler.assume_constant_result
def request_as_text(circuit: Circuit, what: What) -> ReadoutRequest:
    """Determine the runs as `request_of` does, with circuits and read-outs as text.

    A graph of torch.compile may hold only numbers and text.
    """
    request = request_of(circuit, what)
    texts = tuple((circuit_text(run), readout_text(readout)) for run, readout in request.runs)
    return request._replace(runs=texts)


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
