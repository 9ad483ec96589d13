"""Matrices of circuits by PennyLane, and when two of them are the same."""

import numpy as np
import pennylane as qml

from qtha_lab.circuits import Circuit, to_pennylane


def matrix_of(circuit: Circuit) -> np.ndarray:
    """The circuit's matrix at `numbers_for` its inputs and parameters."""
    return matrix_of_operations(to_pennylane(circuit, *numbers_for(circuit)), circuit.n_qubits)


def numbers_for(circuit: Circuit) -> tuple[np.ndarray, np.ndarray]:
    """Some inputs and parameters, always the same."""
    return np.linspace(-2, 1, circuit.n_inputs), np.linspace(0.4, 3, circuit.n_params)


def matrix_of_operations(operations, n_qubits: int) -> np.ndarray:
    return qml.matrix(qml.tape.QuantumScript(list(operations)), wire_order=range(n_qubits))


def assert_same_up_to_phase(matrix: np.ndarray, expected: np.ndarray) -> None:
    overlap = np.trace(expected.conj().T @ matrix)
    np.testing.assert_allclose(matrix, expected * overlap / abs(overlap), atol=1e-12)
