"""A circuit as tapes: PennyLane's form of one circuit with numbers for its angles.

A tape is made for a sample, shifted where parameter-shift asks for it, and finished: rewritten in
the machine's basis, rounded, given its noise and its measurements. Runs nothing.
"""

import dataclasses
import functools
import hashlib
import json

import numpy as np

from qtha_lab.circuits import Angle, Circuit, Gate, Readout, to_pennylane
from qtha_lab.simulators.device_noise import in_turns_and_cz, merged, with_channels
from qtha_lab.simulators.device_options import DeviceOptions, Spec

_EXACT_DIGITS = 12  # of the entries of matrices and states, which are never rounded


@dataclasses.dataclass(frozen=True)
class Slot:
    """An angle that is not constant: number `place` of operation `op` of a tape."""

    op: int
    place: int
    angle: Angle


class Tapes:
    """Makes the tapes of a circuit for one device."""

    def __init__(self, circuit: Circuit, readout: Readout, spec: Spec):
        self.spec = spec
        self.circuit = _written_for(circuit, spec.options)
        self.readout = readout
        self.n_first = int(circuit.start == "amplitudes")  # operations before the first gate
        self.slots = [
            Slot(self.n_first + number, place, angle)
            for number, gate in enumerate(self.circuit.gates)
            for place, angle in enumerate(gate.angles)
            if angle.source != "const"
        ]
        self.n_values = readout.size(circuit.n_qubits)
        strings = readout.strings if readout.kind == "strings" else [()] * self.n_values
        self.read = [i for i, s in enumerate(strings) if s or readout.kind == "probs"]

    def ops(self, x: np.ndarray, params: np.ndarray) -> list:
        """The operations for one sample, x (n_inputs,)."""
        return to_pennylane(self.circuit, x, params)

    def shifted(self, ops: list, slot: Slot, amount: float) -> list:
        """The operations with one angle moved; all others are shared."""
        op = ops[slot.op]
        numbers = list(op.data)
        numbers[slot.place] = numbers[slot.place] + amount
        return [*ops[: slot.op], type(op)(*numbers, wires=op.wires), *ops[slot.op + 1 :]]

    def finish(self, ops: list) -> tuple[str, "object"]:
        """A tape ready to be run, and the name its result is kept under ("" if it is not kept)."""
        from pennylane.tape import QuantumScript

        options, key = self.spec.options, ""
        if options.basis:
            ops = merged(ops)
        if self.spec.is_cached:
            ops = [_rounded(op, options.digits) for op in ops]
        if self.spec.is_cached or options.seed is not None:
            key = self._key(ops)
        if options.is_noisy:
            ops = with_channels(ops, self.circuit.n_qubits, options)
        return key, QuantumScript(ops, self._measurements, shots=options.shots)

    def values(self, rows: np.ndarray) -> np.ndarray:
        """What is read, (tapes, n_values), from what was measured: the identity reads 1."""
        found = np.ones((len(rows), self.n_values))
        found[:, self.read] = rows
        return found

    @functools.cached_property
    def _measurements(self) -> list:
        import pennylane as qml

        if self.readout.kind == "probs":
            return [qml.probs(wires=range(self.circuit.n_qubits))]
        strings = [self.readout.strings[i] for i in self.read]
        return [qml.expval(qml.prod(*map(qml.PauliZ, wires))) for wires in strings]

    def _key(self, ops: list) -> str:
        text = [[op.name, list(op.wires), *map(_numbers, op.data)] for op in ops]
        whole = [
            self.spec.meaning, self.circuit.n_qubits, self.readout.kind, self.readout.strings, text,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(whole).encode()).hexdigest()


def _rounded(op, digits: int):
    if not op.data or any(np.ndim(number) for number in op.data):
        return op
    return type(op)(*(round(float(number), digits) for number in op.data), wires=op.wires)


def _numbers(number) -> object:
    """An angle as it is run, or the entries of a matrix or state."""
    if np.ndim(number) == 0:
        return float(number) + 0.0  # not -0.0
    rounded = np.round(np.asarray(number, dtype=complex), _EXACT_DIGITS) + 0.0
    return [rounded.real.tolist(), rounded.imag.tolist()]


def _written_for(circuit: Circuit, options: DeviceOptions) -> Circuit:
    if options.basis:
        return in_turns_and_cz(circuit)
    return circuit if options.is_noisy else _in_single_turns(circuit)


def _in_single_turns(circuit: Circuit) -> Circuit:
    """The same circuit with Rot as three turns: an adjoint walk knows gates with one angle only."""
    gates: list[Gate] = []
    for gate in circuit.gates:
        if gate.name == "Rot":
            turns = zip(("RZ", "RY", "RZ"), gate.angles, strict=True)
            gates += [Gate(name, gate.wires, angle) for name, angle in turns]
        else:
            gates.append(gate)
    return Circuit(circuit.n_qubits, gates, circuit.start)
