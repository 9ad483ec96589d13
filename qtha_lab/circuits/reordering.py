"""Reordering of commuting gates to reduce the number of steps."""

from qtha_lab.circuits.circuit import Circuit
from qtha_lab.circuits.schedule import start_times


def reordered(circuit: Circuit) -> Circuit:
    """Move commuting gates so that the two-qubit gates take few steps.

    Example:
        >>> from qtha_lab.circuits import Gate
        >>> ring = [Gate("CZ", (i, (i + 1) % 4)) for i in range(4)]
        >>> [gate.wires for gate in reordered(Circuit(4, ring)).gates]
        [(0, 1), (2, 3), (1, 2), (3, 0)]
    """
    starts = start_times(circuit.gates, True, lambda gate: len(gate.wires) - 1)
    order = sorted(range(len(starts)), key=lambda number: (starts[number], number))
    return Circuit(circuit.n_qubits, [circuit.gates[i] for i in order], circuit.start)
