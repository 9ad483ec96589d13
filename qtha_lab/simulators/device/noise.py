"""Noisy hardware form of circuits: U3 and CZ gates, with noise channels after every gate.

No channel depends on the angles, so parameter-shift stays exact. There is no qubit routing: a CZ
may act on any two qubits without SWAPs.
"""

import dataclasses
import functools
import itertools
from typing import Any

import numpy as np

from qtha_lab.circuits import Angle, Circuit, Gate


def in_rotations_and_cz(circuit: Circuit) -> Circuit:
    """Rewrite a circuit in one-qubit gates and CZ.

    Each angle stays scale · source + offset.

    Example:
        >>> circuit = Circuit(2, [Gate("CRZ", (0, 1), Angle.input(0))])
        >>> [gate.name for gate in in_rotations_and_cz(circuit).gates]
        ['RZ', 'Hadamard', 'CZ', 'Hadamard', 'RZ', 'Hadamard', 'CZ', 'Hadamard']
    """
    gates: list[Gate] = []
    for gate in circuit.gates:
        if len(gate.wires) == 1 or gate.name == "CZ":
            gates.append(gate)
        else:
            gates += [gate for part in gate.parts() for gate in _single_gates(*part)]
    return Circuit(circuit.n_qubits, gates, circuit.start)


def _single_gates(kind: str, wires: tuple[int, ...], angle: Angle | None) -> list[Gate]:
    """Rewrite a part of a gate (see `GateKind`) in RY, RZ, X, H and CZ."""
    if angle is None:
        if kind == "X":
            return [Gate("PauliX", wires)]
        hadamard = Gate("Hadamard", wires[1])
        return [hadamard, Gate("CZ", wires), hadamard]
    if kind == "Y":
        return [Gate("RY", wires, angle)]
    ladder = [_single_gates("CNOT", pair, None) for pair in itertools.pairwise(wires)]
    rotation = Gate("RZ", wires[-1], angle)
    return [*itertools.chain(*ladder), rotation, *itertools.chain(*ladder[::-1])]


@dataclasses.dataclass(frozen=True)
class NoisyOperation:
    """PennyLane operation without its numbers."""

    name: str
    wires: tuple[int, ...]
    n_numbers: int = 0
    matrix: tuple | None = None

    def operation(self, *numbers):
        """Create the operation with its numbers, each a scalar or an array (rows,)."""
        import pennylane as qml

        if self.matrix is not None:
            numbers = (np.array(self.matrix),)
        return getattr(qml, self.name)(*numbers, wires=self.wires)


def operations_of(circuit: Circuit) -> list[NoisyOperation]:
    """Return the operations of a circuit, unchanged."""
    return [NoisyOperation(g.name, g.wires, len(g.angles), g.matrix) for g in circuit.gates]


def merged(gates: list[NoisyOperation], numbers) -> list[tuple[NoisyOperation, Any]]:
    """Merge one-qubit gates between two CZ into one matrix, (2, 2) or (rows, 2, 2).

    Matrices are NumPy arrays or torch tensors, as `numbers`, (rows, numbers of all gates). The
    list of gates does not depend on the numbers: a rotation by 0 is still a gate on hardware. A
    gate on more wires is paired with None.
    """
    import torch

    is_torch = isinstance(numbers, torch.Tensor)
    waiting: dict[int, Any] = {}
    merges: list[tuple[NoisyOperation, Any]] = []

    def flush(wires) -> None:
        merges.extend(
            (NoisyOperation("U3", (w,), 3), waiting.pop(w)) for w in wires if w in waiting
        )

    at = 0
    for gate in gates:
        columns = numbers[:, at : at + gate.n_numbers].T
        at += gate.n_numbers
        if len(gate.wires) != 1:
            flush(gate.wires)
            merges.append((gate, None))
            continue
        matrix, wire = gate.operation(*columns).matrix(), gate.wires[0]
        if is_torch:
            matrix = torch.as_tensor(matrix, dtype=torch.complex128)
        waiting[wire] = matrix @ waiting[wire] if wire in waiting else matrix
    flush(sorted(waiting))
    return merges


def u3_numbers(merges: list[tuple[NoisyOperation, np.ndarray]], n_rows: int) -> np.ndarray:
    """Return the angles of every U3, (rows, 3 per U3)."""
    columns = [angles for _, matrix in merges if matrix is not None for angles in _u3(matrix)]
    filled = [np.broadcast_to(column, n_rows) for column in columns]
    return np.stack(filled, 1) if filled else np.zeros((n_rows, 0))


def _u3(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the angles θ, φ, λ of unitaries (..., 2, 2), up to global phase."""
    a, b, c, d = (matrix[..., i, j] for i in (0, 1) for j in (0, 1))
    theta = 2 * np.arctan2(abs(c), abs(a))
    flips, keeps = abs(a) < 1e-9, abs(c) < 1e-9  # only φ - λ, or only φ + λ, is determined
    phi = np.where(flips, np.angle(-c * b.conj()), np.angle(c * a.conj()))
    phi = np.where(keeps, np.angle(d * a.conj()), phi)
    return theta, phi, np.where(flips | keeps, 0.0, np.angle(-b * a.conj()))


def channel_after(wires: tuple[int, ...], options):
    """Return the depolarizing channel after a gate, or None without noise."""
    chance = options.depolarizing_1q if len(wires) == 1 else options.depolarizing_2q
    return _channel(_depolarizing(chance, len(wires)), wires) if chance else None


def channels_at_end(n_qubits: int, options) -> list:
    """Return one read-out error channel per wire, or none if both probabilities are 0."""
    if not (options.readout_0to1 or options.readout_1to0):
        return []
    confused = _readout(options.readout_0to1, options.readout_1to0)
    return [_channel(confused, (wire,)) for wire in range(n_qubits)]


def _channel(kraus: tuple[np.ndarray, ...], wires: tuple[int, ...]):
    import pennylane as qml

    return qml.QubitChannel(list(kraus), wires=wires)


@functools.cache
def _depolarizing(chance: float, n_wires: int) -> tuple[np.ndarray, ...]:
    """Return the Kraus operators of ρ → (1 - chance) ρ + chance · I/2^n.

    A uniformly random Pauli string out of 4^n leaves any state fully mixed. So each string acts
    with probability chance/4^n, and the identity with 1 - chance more.
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
    """Return the Kraus operators of a read-out error.

    0 is read as 1 with probability `up`, and 1 as 0 with `down`.
    """
    entries = [(0, 0, 1 - up), (1, 0, up), (1, 1, 1 - down), (0, 1, down)]
    kraus = np.zeros((4, 2, 2))
    for number, (row, column, chance) in enumerate(entries):
        kraus[number, row, column] = np.sqrt(chance)
    return tuple(kraus)
