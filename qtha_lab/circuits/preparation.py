"""Gates that prepare given amplitudes, for exports and chips.

Engines set the initial amplitudes directly.
"""

from collections.abc import Sequence

from qtha_lab.circuits.gates import Gate


def preparation(n_qubits: int, amplitudes: Sequence[float]) -> tuple[Gate, ...]:
    """Return RY and CNOT gates that prepare real amplitudes from |0…0⟩.

    The amplitudes, (2^n_qubits,), are normalised.

    Example:
        >>> [gate.name for gate in preparation(2, [1.0, 2.0, 3.0, 4.0])]
        ['RY', 'RY', 'CNOT', 'RY', 'CNOT']

    Source:
        Möttönen, Vartiainen, Bergholm and Salomaa 2004, arXiv:quant-ph/0407010, as in PennyLane.
    """
    import pennylane as qml
    from pennylane.tape import QuantumScript

    from qtha_lab.circuits.imports.pennylane import gates_from_pennylane

    wires = range(n_qubits)
    tape = QuantumScript([qml.AmplitudeEmbedding(amplitudes, wires, normalize=True)])
    tape.trainable_params = []
    _, gates, _ = gates_from_pennylane(tape, (), {}, wires=wires)
    return tuple(gates)
