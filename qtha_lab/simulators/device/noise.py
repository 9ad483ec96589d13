"""Noise of devices as `qml.NoiseModel`, and the hardware form of circuits: U3 and CZ gates.

No channel depends on the angles, so parameter-shift stays exact. There is no qubit routing: a CZ
may act on any two qubits without SWAPs.
"""

import functools
import itertools
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.operation import StatePrepBase

from qtha_lab.circuits import Angle, Circuit, Gate
from qtha_lab.simulators.device.options import DeviceOptions


def in_rotations_and_cz(circuit: Circuit) -> Circuit:
    """Rewrite a circuit in one-qubit gates and CZ.

    Each angle stays scale · source + offset. `qml.transforms.decompose` would leave the choice of
    gates, and so the strength of the noise, to the version of PennyLane.

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


@qml.transform
def mark_u3(tape):
    """Insert an identity for noise behind one-qubit gates that form one U3.

    `qml.transforms.single_qubit_fusion` drops a rotation by 0, which is a gate on hardware, and its
    gradients are nan at some angles.
    """
    open_wires, operations = set(), []
    for operation in tape.operations:
        if len(operation.wires) == 1:
            open_wires |= {*operation.wires}
        else:
            operations += [qml.Identity(wire) for wire in operation.wires if wire in open_wires]
            open_wires -= {*operation.wires}
        operations.append(operation)
    operations += [qml.Identity(wire) for wire in sorted(open_wires)]
    return [tape.copy(operations=operations)], lambda results: results[0]


def noise_model(options: DeviceOptions, n_qubits: int) -> qml.NoiseModel:
    """Return depolarizing channels after gates, and read-out errors before measurements."""

    def is_single(operation, **_) -> bool:
        if options.basis:
            return isinstance(operation, qml.Identity)
        return len(operation.wires) == 1 and not isinstance(operation, StatePrepBase)

    def is_wide(operation, **_) -> bool:
        return len(operation.wires) > 1 and not isinstance(operation, StatePrepBase)

    def depolarize(chance: float, operation, **_) -> None:
        qml.QubitChannel(_depolarizing(chance, len(operation.wires)), wires=operation.wires)

    def misread(_, **__) -> None:
        for wire in range(n_qubits):
            qml.QubitChannel(_readout(options.readout_0to1, options.readout_1to0), wires=wire)

    chances = {is_single: options.depolarizing_1q, is_wide: options.depolarizing_2q}
    of_gates = {
        qml.BooleanFn(applies): functools.partial(depolarize, chance)
        for applies, chance in chances.items()
        if chance
    }
    is_misread = options.readout_0to1 or options.readout_1to0
    return qml.NoiseModel(of_gates, {qml.BooleanFn(lambda _: True): misread} if is_misread else {})


@functools.cache
def _depolarizing(chance: float, n_wires: int) -> list[np.ndarray]:
    """Return the Kraus operators of ρ → (1 - chance) ρ + chance · I/2^n.

    A uniformly random Pauli string out of 4^n leaves any state fully mixed. So each string acts
    with probability chance/4^n, and the identity with 1 - chance more. PennyLane's
    `DepolarizingChannel` acts on one qubit only, and counts X, Y and Z.
    """
    kron: Any = np.kron
    paulis = [qml.matrix(pauli(0)) for pauli in (qml.Identity, qml.X, qml.Y, qml.Z)]
    strings = [functools.reduce(kron, s) for s in itertools.product(paulis, repeat=n_wires)]
    share = chance / 4**n_wires
    weights = [1 - chance + share] + [share] * (len(strings) - 1)
    return [np.sqrt(w) * string for w, string in zip(weights, strings, strict=True)]


@functools.cache
def _readout(up: float, down: float) -> list[np.ndarray]:
    """Return the Kraus operators of a read-out error.

    0 is read as 1 with probability `up`, and 1 as 0 with `down`.
    """
    entries = [(0, 0, 1 - up), (1, 0, up), (1, 1, 1 - down), (0, 1, down)]
    kraus = np.zeros((4, 2, 2))
    for number, (row, column, chance) in enumerate(entries):
        kraus[number, row, column] = np.sqrt(chance)
    return list(kraus)
