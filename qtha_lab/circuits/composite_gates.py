"""Composite gates: any two-qubit gate, and the preparation of given amplitudes."""

from collections.abc import Iterable, Sequence

from qtha_lab.circuits.angle import Angle
from qtha_lab.circuits.gates import Gate
from qtha_lab.core.errors import Refusal


def general_two_qubit(wires: Sequence[int], angles: Iterable[Angle | float]) -> list[Gate]:
    """Return gates for any two-qubit unitary: Rot⊗Rot, then XX, YY, ZZ, then Rot⊗Rot.

    Equal up to a global phase.

    Args:
        wires: The two wires.
        angles: 15 angles, in the order of the gates.

    Raises:
        Refusal: If there are not 15 angles.

    Example:
        >>> block = general_two_qubit((0, 1), map(Angle.param, range(15)))
        >>> [gate.name for gate in block]
        ['Rot', 'Rot', 'IsingXX', 'IsingYY', 'IsingZZ', 'Rot', 'Rot']

    Source:
        KAK decomposition, Khaneja and Glaser 2001, arXiv:quant-ph/0010100; 15 = 4² - 1 is the
        dimension of SU(4), so no angle is redundant.
    """
    angles_in_order = tuple(angles)
    if len(angles_in_order) != 15:
        raise Refusal(f"A general two-qubit block must have 15 angles, got {len(angles_in_order)}.")
    first, second = wires
    ising = [
        Gate(f"Ising{letters}", (first, second), angle)
        for letters, angle in zip(("XX", "YY", "ZZ"), angles_in_order[6:9], strict=True)
    ]
    return [
        Gate("Rot", first, angles_in_order[0:3]),
        Gate("Rot", second, angles_in_order[3:6]),
        *ising,
        Gate("Rot", first, angles_in_order[9:12]),
        Gate("Rot", second, angles_in_order[12:15]),
    ]


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
