"""A circuit as tapes, PennyLane's form of one circuit: a list of operations and rows of numbers.

Rows differ in their numbers only, those of one sample or one shift each; they are rewritten in the
machine's basis and rounded here, named for the cache, and made into tapes. Runs nothing.
"""

import dataclasses
import functools
import hashlib
import itertools
import json
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch

from qtha_lab.circuits import Angle, Circuit, Gate, Readout
from qtha_lab.simulators.device.noise import (
    Piece,
    channel_after,
    channels_at_end,
    in_rotations_and_cz,
    merged,
    pieces_of,
    u3_numbers,
)
from qtha_lab.simulators.device.options import DeviceOptions, Spec

_START_DIGITS = 12  # of amplitudes in a name; they are run as they are
_TOGETHER_AMPLITUDES = 2**22  # of a tape that takes many rows at once: 64 MB


@dataclasses.dataclass(frozen=True)
class Slot:
    """An angle that is not constant, and the frequencies its turn brings into expectations."""

    column: int
    angle: Angle
    frequencies: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Rows:
    """Circuits that differ in numbers only: angles (rows, n) and, if any, starts (rows, 2^n_qubits).

    Arrays, or tensors where torch walks back through them.
    """

    numbers: Any
    starts: Any = None

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, index) -> "Rows":
        """Some of the rows."""
        return Rows(self.numbers[index], None if self.starts is None else self.starts[index])


class Tapes:
    """Makes the tapes of a circuit for one device."""

    def __init__(self, circuit: Circuit, readout: Readout, spec: Spec):
        self.spec, self.readout = spec, readout
        self.circuit = _written_for(circuit, spec.options)
        self.pieces = pieces_of(self.circuit)
        self._constants: dict = {}  # operations and channels that do not change
        self.angles = [angle for gate in self.circuit.gates for angle in gate.angles]
        self.n_values = readout.size(circuit.n_qubits)
        strings = readout.strings if readout.kind == "strings" else [()] * self.n_values
        self.read = [i for i, s in enumerate(strings) if s or readout.kind == "probs"]

    @functools.cached_property
    def slots(self) -> list[Slot]:
        """Every angle that reads an input or a parameter."""
        angles = [(angle, gate) for gate in self.circuit.gates for angle in gate.angles]
        return [
            Slot(column, angle, gate.kind.frequencies)
            for column, (angle, gate) in enumerate(angles)
            if angle.source != "const"
        ]

    def rows(self, inputs: np.ndarray, params: np.ndarray) -> Rows:
        """The angles, and the starts, of a batch, inputs (batch, n_inputs)."""
        numbers = np.empty((len(inputs), len(self.angles)))
        for column, angle in enumerate(self.angles):
            numbers[:, column] = angle.value(inputs, params)
        return Rows(numbers, inputs if self.circuit.start == "amplitudes" else None)

    def finish(self, rows: Rows) -> Rows:
        """The rows as they are run: of U3 and CZ if that is the basis, rounded if they are kept."""
        numbers = rows.numbers
        if self.spec.options.basis:
            numbers = u3_numbers(merged(self.pieces, numbers), len(numbers))
        if self.spec.is_cached:
            numbers = numbers.round(self.spec.options.digits) + 0.0  # not -0.0
        return Rows(numbers, rows.starts)

    def names(self, rows: Rows) -> list[str]:
        """A name for each finished row, which every number that can change its result goes into."""
        text = self._text
        parts = [rows.numbers]
        if rows.starts is not None:
            parts.append(rows.starts.round(_START_DIGITS) + 0.0)
        whole = np.concatenate(parts, 1).astype("<f8")
        return [hashlib.sha256(text + row.tobytes()).hexdigest() for row in whole]

    def tapes(self, rows: Rows, together: bool = True) -> list:
        """Finished rows as tapes; where the device takes many rows per tape, as few as memory allows."""
        alike = not rows.numbers.shape[1] and rows.starts is None  # nothing to tell rows by
        most = rows_together(self.spec, self.circuit.n_qubits) if together and not alike else 1
        return [self._tape(rows.take(slice(i, i + most))) for i in range(0, len(rows), most)]

    def measured(self, results: Iterable) -> np.ndarray:
        """What tapes gave, as (rows, numbers per row)."""
        rows = []
        for of_tape in results:
            parts = of_tape if isinstance(of_tape, tuple) else (of_tape,)
            if self.readout.kind == "probs":
                rows.append(np.asarray(parts[0]).reshape(-1, self.n_values))
            else:
                rows.append(np.stack([np.asarray(part).reshape(-1) for part in parts], 1))
        return np.concatenate(rows).astype(np.float64)

    def values(self, measured: np.ndarray) -> np.ndarray:
        """What is read, (rows, n_values), from what was measured: the identity reads 1."""
        values = np.ones((len(measured), self.n_values))
        values[:, self.read] = measured
        return values

    def through(self, rows: Rows):
        """A tape of unfinished rows of torch tensors, for torch to walk back through.

        It ends in the density matrix: PennyLane 0.45 takes the root of probabilities on the way to
        expectations, whose slope is nan where one is zero, as for an angle of zero.
        """
        import pennylane as qml

        ops = self._operations(self.pieces, rows.numbers.T)
        if self.spec.options.basis:
            merges = merged(self.pieces, rows.numbers)
            ops = [p.operation() if m is None else qml.QubitUnitary(m, p.wires) for p, m in merges]
        return self._script(rows.starts, ops, [qml.density_matrix(range(self.circuit.n_qubits))])

    @functools.cached_property
    def readings(self) -> np.ndarray:
        """What every basis state contributes to what is read, (n_values, 2^n_qubits)."""
        n_qubits = self.circuit.n_qubits
        if self.readout.kind == "probs":
            return np.eye(2**n_qubits)
        bits = np.arange(2**n_qubits)[:, None] >> np.arange(n_qubits)[::-1] & 1
        signs = 1.0 - 2.0 * bits
        return np.stack([signs[:, list(wires)].prod(1) for wires in self.readout.strings])

    def _tape(self, rows: Rows):
        columns = rows.numbers.T
        if ".mixed" in self.spec.device:  # which is four to eight times as fast on torch tensors
            columns = torch.from_numpy(np.ascontiguousarray(columns))
        if len(rows) > 1:
            return self._script(rows.starts, self._operations(self.final_pieces, columns))
        start = None if rows.starts is None else rows.starts[0]
        return self._script(start, self._operations(self.final_pieces, columns[:, 0]))

    def _operations(self, pieces: list[Piece], columns) -> list:
        """The pieces with their numbers, each a number or an array (rows,)."""
        operations, at = [], 0
        for piece in pieces:
            numbers = columns[at : at + piece.n_numbers]
            operations.append(piece.operation(*numbers) if piece.n_numbers else self._fixed(piece))
            at += piece.n_numbers
        return operations

    def _script(self, start, ops: list, measurements: list | None = None):
        """A tape of operations, each with its channel, that starts in amplitudes if there are any."""
        import pennylane as qml
        from pennylane.tape import QuantumScript

        n_qubits, options = self.circuit.n_qubits, self.spec.options
        whole = []
        if start is not None:
            whole.append(qml.AmplitudeEmbedding(start, range(n_qubits), normalize=True))
        for op in ops:
            channel = self._channel(tuple(op.wires))
            whole += [op] if channel is None else [op, channel]
        whole += channels_at_end(n_qubits, options)
        read = measurements or self._measurements
        return QuantumScript(whole, read, shots=options.shots)

    def _fixed(self, piece: Piece):
        """An operation without numbers, made once."""
        if piece not in self._constants:
            self._constants[piece] = piece.operation()
        return self._constants[piece]

    def _channel(self, wires: tuple[int, ...]):
        if wires not in self._constants:
            self._constants[wires] = channel_after(wires, self.spec.options)
        return self._constants[wires]

    @functools.cached_property
    def final_pieces(self) -> list[Piece]:
        """The operations of a finished row."""
        if not self.spec.options.basis:
            return self.pieces
        return [p for p, _ in merged(self.pieces, np.zeros((1, len(self.angles))))]

    @functools.cached_property
    def _measurements(self) -> list:
        import pennylane as qml

        if self.readout.kind == "probs":
            return [qml.probs(wires=range(self.circuit.n_qubits))]
        strings = [self.readout.strings[i] for i in self.read]
        products: list[Any] = [qml.prod(*map(qml.PauliZ, wires)) for wires in strings]
        return [qml.expval(product) for product in products]

    @functools.cached_property
    def _text(self) -> bytes:
        """All of a circuit but its numbers, the device and its options."""
        pieces = [(p.name, p.wires, _entries(p.matrix)) for p in self.final_pieces]
        whole = [
            self.spec.meaning, self.circuit.n_qubits, self.readout.kind, self.readout.strings,
            self.circuit.start, pieces,
        ]  # fmt: skip
        return json.dumps(whole).encode()


def amplitudes_of(spec: Spec, n_qubits: int) -> int:
    """Numbers of a state at work: a vector, or a density matrix behind each of 16 Kraus operators."""
    if ".mixed" not in spec.device:
        return 2**n_qubits
    return 4**n_qubits * (16 if spec.options.depolarizing_2q else 1)


def rows_together(spec: Spec, n_qubits: int) -> int:
    """Circuits that the device takes as one tape."""
    if spec.device not in ("default.qubit", "default.mixed"):
        return 1
    most = max(1, _TOGETHER_AMPLITUDES // amplitudes_of(spec, n_qubits))
    return min(most, spec.options.batch_size)


def _entries(matrix: tuple | None) -> list | None:
    return None if matrix is None else [[(e.real, e.imag) for e in row] for row in matrix]


def _written_for(circuit: Circuit, options: DeviceOptions) -> Circuit:
    circuit = _apart(circuit, lambda gate: not gate.kind.in_pennylane)
    if options.basis:
        return in_rotations_and_cz(circuit)
    if options.is_noisy:
        return circuit
    # an adjoint walk knows gates with one angle only
    return _apart(circuit, lambda gate: len(gate.angles) > 1)


def _apart(circuit: Circuit, is_apart: Callable[[Gate], bool]) -> Circuit:
    """The same circuit with some of its gates as their parts."""
    gates = [(gate.taken_apart() if is_apart(gate) else [gate]) for gate in circuit.gates]
    return Circuit(circuit.n_qubits, itertools.chain(*gates), circuit.start)
