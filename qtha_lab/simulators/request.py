"""Runs of a circuit that a read-out requires, cached per circuit."""

import functools
from typing import Any, NamedTuple

import torch

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.circuits.formats.json_text import circuit_text, readout_text
from qtha_lab.circuits.products import Products, without_products
from qtha_lab.circuits.readout import settings_of
from qtha_lab.core.errors import Refusal

What = str | tuple[str, ...]  # "z", "probs", "state", or Pauli strings


class ReadoutRequest(NamedTuple):
    """Runs of a circuit, each with its read-out.

    Attributes:
        n_inputs: Numbers per sample.
        n_params: Number of trainable angles.
        from_amplitudes: Whether the inputs are the amplitudes of the initial state.
        runs: Circuit and read-out of each run; as text in a graph of torch.compile.
        order: Indices that sort the concatenated results of all runs into the requested order.
        products: Indices of the inputs whose products are further inputs of the runs.
    """

    n_inputs: int
    n_params: int
    from_amplitudes: bool
    runs: tuple[tuple[Any, Any], ...]
    order: tuple[int, ...]
    products: Products


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
        raise Refusal("observables must name at least one Pauli string, got none.")
    n_inputs = circuit.n_inputs
    circuit, products = without_products(circuit)
    if isinstance(what, str):
        readout = Readout.z(circuit.n_qubits) if what == "z" else getattr(Readout, what)()
        runs, order = ((circuit, readout),), ()
    else:
        settings = settings_of(circuit, what)
        runs = tuple(setting[:2] for setting in settings)
        numbers = [number for *_, members in settings for number in members]
        order = tuple(numbers.index(number) for number in range(len(numbers)))
    return ReadoutRequest(n_inputs, circuit.n_params, amplitudes, runs, order, products)


@torch.compiler.assume_constant_result
def request_as_text(circuit: Circuit, what: What) -> ReadoutRequest:
    """Determine the runs as `request_of` does, with circuits and read-outs as text.

    A graph of torch.compile may hold only numbers and text.
    """
    request = request_of(circuit, what)
    texts = tuple((circuit_text(run), readout_text(readout)) for run, readout in request.runs)
    return request._replace(runs=texts)
