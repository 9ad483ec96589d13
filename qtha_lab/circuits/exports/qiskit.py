"""Export of a circuit as a `qiskit.QuantumCircuit`."""

import importlib
from collections.abc import Sequence
from typing import Any

from qtha_lab.circuits.angle import Angle
from qtha_lab.circuits.exports.numbers import SampleValues
from qtha_lab.circuits.protocol import CircuitLike
from qtha_lab.core.errors import Refusal

_METHODS = {"IsingXX": "rxx", "IsingYY": "ryy", "IsingZZ": "rzz"}


def to_qiskit(
    circuit: CircuitLike,
    inputs: Sequence[float] | None = None,
    params: Sequence[float] | None = None,
) -> Any:
    """Return the circuit as a `QuantumCircuit`, wire i as qubit i.

    Qiskit counts qubits from the least significant bit. Global phases are omitted.

    Args:
        circuit: Circuit to export.
        inputs: One sample, (n_inputs,); None leaves a `ParameterVector` x.
        params: Trainable angles, (n_params,); None leaves a `ParameterVector` p.

    Raises:
        Refusal: If Qiskit is not installed, or the numbers do not fit the circuit.

    Example:
        >>> from qtha_lab.circuits import Circuit, Gate
        >>> rotation = Circuit(2, [Gate("RY", 1, Angle.param(0, 2.0)), Gate("CNOT", (1, 0))])
        >>> print(to_qiskit(rotation))  # doctest: +SKIP
    """
    qiskit = _import_qiskit()
    values = SampleValues(circuit, inputs, params)
    names = values.unknown_names()
    vectors = {
        source: qiskit.circuit.ParameterVector(letter, sum(name[0] == letter for name in names))
        for source, letter in (("input", "x"), ("param", "p"))
    }

    def expression(angle: Angle) -> Any:
        known = values.value(angle)
        if known is not None:
            return known
        product: Any = angle.scale
        for index in angle.indices:
            product = vectors[angle.source][index] * product
        return product + angle.offset

    result = qiskit.QuantumCircuit(circuit.n_qubits)
    for gate in values.gates():
        if gate.matrix is not None:  # Qiskit's first qubit is the least significant bit
            result.unitary(gate.matrix, gate.wires[::-1])
            continue
        name = _METHODS.get(gate.name) or gate.kind.qasm
        for part in [gate] if name else gate.taken_apart():
            method = getattr(result, str(name or _METHODS.get(part.name) or part.kind.qasm))
            method(*map(expression, part.angles), *part.wires)
    return result


def _import_qiskit() -> Any:
    """Import Qiskit.

    Raises:
        Refusal: If it is not installed.
    """
    try:
        return importlib.import_module("qiskit")
    except ImportError:
        raise Refusal(
            "Qiskit must be installed to convert circuits to it, got none. Run pip install qiskit."
        ) from None
