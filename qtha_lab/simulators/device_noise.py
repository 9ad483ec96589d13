"""Circuits as a noisy machine runs them: written in U3 and CZ, with channels after every gate.

Every channel acts the same way whatever the angles are, so parameter-shift stays exact. Qubits are
not placed on a grid and no SWAPs are added: a CZ may join any two of them.
"""

import functools
import itertools

import numpy as np

from qtha_lab.circuits import Angle, Circuit, Gate


def in_turns_and_cz(circuit: Circuit) -> Circuit:
    """The same circuit in gates on one wire and CZ; every angle stays scale · source + offset.

    Example:
        >>> circuit = Circuit(2, [Gate("CRZ", (0, 1), Angle.input(0))])
        >>> [gate.name for gate in in_turns_and_cz(circuit).gates]
        ['RZ', 'Hadamard', 'CZ', 'Hadamard', 'RZ', 'Hadamard', 'CZ', 'Hadamard']
    """
    gates: list[Gate] = []
    for gate in circuit.gates:
        if len(gate.wires) == 1 or gate.name == "CZ":
            gates.append(gate)
        else:
            gates += [piece for part in gate.parts() for piece in _pieces(*part)]
    return Circuit(circuit.n_qubits, gates, circuit.start)


def _pieces(kind: str, wires: tuple[int, ...], angle: Angle | None) -> list[Gate]:
    """A part of a gate (see `GateKind`) in RY, RZ, X, H and CZ."""
    if kind == "X":
        return [Gate("PauliX", wires)]
    if kind == "Y":
        return [Gate("RY", wires, angle)]
    if kind == "CNOT":
        hadamard = Gate("Hadamard", wires[1])
        return [hadamard, Gate("CZ", wires), hadamard]
    ladder = [_pieces("CNOT", pair, None) for pair in itertools.pairwise(wires)]
    turn = Gate("RZ", wires[-1], angle)
    return [*itertools.chain(*ladder), turn, *itertools.chain(*ladder[::-1])]


def merged(ops: list) -> list:
    """One-qubit PennyLane operations between two CZ as one U3, up to a global phase."""
    import pennylane as qml

    waiting: dict[int, np.ndarray] = {}
    found = []

    def flush(wires) -> None:
        found.extend(qml.U3(*_u3(waiting.pop(w)), wires=w) for w in wires if w in waiting)

    for op in ops:
        if len(op.wires) == 1:
            before = waiting.get(op.wires[0], np.eye(2))
            waiting[op.wires[0]] = op.matrix() @ before
        else:
            flush(op.wires)
            found.append(op)
    flush(sorted(waiting))
    return found


def _u3(matrix: np.ndarray) -> tuple[float, float, float]:
    """The angles θ, φ, λ of a 2×2 unitary, up to a global phase."""
    (a, b), (c, d) = matrix
    theta = 2 * np.arctan2(abs(c), abs(a))
    if abs(a) < 1e-9:
        return np.pi, float(np.angle(-c / b)), 0.0
    if abs(c) < 1e-9:
        return 0.0, float(np.angle(d / a)), 0.0
    return float(theta), float(np.angle(c / a)), float(np.angle(-b / a))


def with_channels(ops: list, n_qubits: int, options) -> list:
    """Depolarizing after every gate, and before the end what makes a 0 read as 1 and back."""
    import pennylane as qml

    chances = {1: options.depolarizing_1q, 2: options.depolarizing_2q}
    found = []
    for op in ops:
        found.append(op)
        chance = 0.0 if isinstance(op, qml.operation.StatePrepBase) else chances[len(op.wires)]
        if chance:
            found.append(_channel(_depolarizing(chance, len(op.wires)), op.wires))
    if options.readout_0to1 or options.readout_1to0:
        confused = _readout(options.readout_0to1, options.readout_1to0)
        found += [_channel(confused, wire) for wire in range(n_qubits)]
    return found


def _channel(kraus: tuple[np.ndarray, ...], wires):
    import pennylane as qml

    return qml.QubitChannel(list(kraus), wires=wires)


@functools.cache
def _depolarizing(chance: float, n_wires: int) -> tuple[np.ndarray, ...]:
    """ρ → (1 - chance) ρ + chance · I/2^n, in Kraus operators.

    A uniformly drawn one of the 4^n Pauli strings leaves any state fully mixed, so each acts with
    probability chance/4^n, and the identity also where nothing happens.
    """
    paulis = [
        np.eye(2),
        np.array([[0, 1], [1, 0]]),
        np.array([[0, -1j], [1j, 0]]),
        np.diag([1, -1]),
    ]
    strings = [functools.reduce(np.kron, s) for s in itertools.product(paulis, repeat=n_wires)]
    share = chance / 4**n_wires
    weights = [1 - chance + share] + [share] * (len(strings) - 1)
    return tuple(np.sqrt(w) * string for w, string in zip(weights, strings, strict=True))


@functools.cache
def _readout(up: float, down: float) -> tuple[np.ndarray, ...]:
    """A measurement that reads 0 as 1 with chance `up`, and 1 as 0 with chance `down`."""
    entries = [(0, 0, 1 - up), (1, 0, up), (1, 1, 1 - down), (0, 1, down)]
    kraus = np.zeros((4, 2, 2))
    for number, (row, column, chance) in enumerate(entries):
        kraus[number, row, column] = np.sqrt(chance)
    return tuple(kraus)
