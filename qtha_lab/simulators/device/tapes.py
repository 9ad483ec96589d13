"""Conversion of a circuit to PennyLane tapes: a list of operations and rows of numbers.

Each row holds the numbers of one sample or one parameter shift. Rows are rewritten in the hardware
basis, rounded, named for the cache, and converted to tapes. Runs no circuit.
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
    NoisyOperation,
    channel_after,
    channels_at_end,
    in_rotations_and_cz,
    merged,
    operations_of,
    u3_numbers,
)
from qtha_lab.simulators.device.options import DeviceOptions, Spec

_START_DIGITS = 12  # digits of initial amplitudes in a name; circuits run with all digits
_TOGETHER_AMPLITUDES = 2**22  # most amplitudes of a tape with many rows: 64 MB


@dataclasses.dataclass(frozen=True)
class Slot:
    """Angle that is not constant, with the frequencies of expectation values in this angle."""

    column: int
    angle: Angle
    frequencies: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class TapeRows:
    """Numbers of several circuits: angles (rows, n) and optional initial states (rows, 2^n_qubits).

    Arrays, or tensors for backpropagation.
    """

    numbers: Any
    starts: Any = None

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, index) -> "TapeRows":
        """Select rows."""
        return TapeRows(self.numbers[index], None if self.starts is None else self.starts[index])


class Tapes:
    """Converter of a circuit to tapes for one device."""

    def __init__(self, circuit: Circuit, readout: Readout, spec: Spec):
        self.spec, self.readout = spec, readout
        self.circuit = _written_for(circuit, spec.options)
        self.operations = operations_of(self.circuit)
        self._constants: dict = {}  # cached operations without numbers, and channels
        self.angles = [angle for gate in self.circuit.gates for angle in gate.angles]
        self.n_values = readout.size(circuit.n_qubits)
        strings = readout.strings if readout.kind == "strings" else [()] * self.n_values
        self.read = [i for i, s in enumerate(strings) if s or readout.kind == "probs"]

    @functools.cached_property
    def slots(self) -> list[Slot]:
        """All angles that depend on an input or a parameter."""
        angles = [(angle, gate) for gate in self.circuit.gates for angle in gate.angles]
        return [
            Slot(column, angle, gate.kind.frequencies)
            for column, (angle, gate) in enumerate(angles)
            if angle.source != "const"
        ]

    def rows(self, inputs: np.ndarray, params: np.ndarray) -> TapeRows:
        """Compute the angles and initial states of a batch of inputs (batch, n_inputs)."""
        numbers = np.empty((len(inputs), len(self.angles)))
        for column, angle in enumerate(self.angles):
            numbers[:, column] = angle.value(inputs, params)
        return TapeRows(numbers, inputs if self.circuit.start == "amplitudes" else None)

    def finish(self, rows: TapeRows) -> TapeRows:
        """Convert rows to the executed form: angles of U3 if requested, rounded for the cache."""
        numbers = rows.numbers
        if self.spec.options.basis:
            numbers = u3_numbers(merged(self.operations, numbers), len(numbers))
        if self.spec.is_cached:
            numbers = numbers.round(self.spec.options.digits) + 0.0  # not -0.0
        return TapeRows(numbers, rows.starts)

    def names(self, rows: TapeRows) -> list[str]:
        """Return a cache key per finished row, a hash of all result-relevant data."""
        text = self._text
        parts = [rows.numbers]
        if rows.starts is not None:
            parts.append(rows.starts.round(_START_DIGITS) + 0.0)
        whole = np.concatenate(parts, 1).astype("<f8")
        return [hashlib.sha256(text + row.tobytes()).hexdigest() for row in whole]

    def tapes(self, rows: TapeRows, together: bool = True) -> list:
        """Convert finished rows to tapes.

        With `together`, a device that supports batches gets as few tapes as memory allows.
        """
        alike = not rows.numbers.shape[1] and rows.starts is None  # rows have no numbers at all
        most = rows_together(self.spec, self.circuit.n_qubits) if together and not alike else 1
        return [self._tape(rows.take(slice(i, i + most))) for i in range(0, len(rows), most)]

    def measured(self, results: Iterable) -> np.ndarray:
        """Convert results of tapes to an array, (rows, numbers per row)."""
        rows = []
        for of_tape in results:
            parts = of_tape if isinstance(of_tape, tuple) else (of_tape,)
            if self.readout.kind == "probs":
                rows.append(np.asarray(parts[0]).reshape(-1, self.n_values))
            else:
                rows.append(np.stack([np.asarray(part).reshape(-1) for part in parts], 1))
        return np.concatenate(rows).astype(np.float64)

    def values(self, measured: np.ndarray) -> np.ndarray:
        """Compute the read-out, (rows, n_values), from measured values; the identity gives 1."""
        values = np.ones((len(measured), self.n_values))
        values[:, self.read] = measured
        return values

    def through(self, rows: TapeRows):
        """Build a tape of unfinished rows of torch tensors, for backpropagation.

        The tape returns the density matrix. PennyLane 0.45 computes expectation values by the
        square root of probabilities, whose gradient is nan at probability zero, as for an angle of
        zero.
        """
        import pennylane as qml

        ops = self._operations(self.operations, rows.numbers.T)
        if self.spec.options.basis:
            merges = merged(self.operations, rows.numbers)
            ops = [p.operation() if m is None else qml.QubitUnitary(m, p.wires) for p, m in merges]
        return self._script(rows.starts, ops, [qml.density_matrix(range(self.circuit.n_qubits))])

    @functools.cached_property
    def readings(self) -> np.ndarray:
        """Weights of the basis states in every read-out value, (n_values, 2^n_qubits)."""
        n_qubits = self.circuit.n_qubits
        if self.readout.kind == "probs":
            return np.eye(2**n_qubits)
        bits = np.arange(2**n_qubits)[:, None] >> np.arange(n_qubits)[::-1] & 1
        signs = 1.0 - 2.0 * bits
        return np.stack([signs[:, list(wires)].prod(1) for wires in self.readout.strings])

    def _tape(self, rows: TapeRows):
        columns = rows.numbers.T
        if ".mixed" in self.spec.device:  # four to eight times as fast on torch tensors
            columns = torch.from_numpy(np.ascontiguousarray(columns))
        if len(rows) > 1:
            return self._script(rows.starts, self._operations(self.final_operations, columns))
        start = None if rows.starts is None else rows.starts[0]
        return self._script(start, self._operations(self.final_operations, columns[:, 0]))

    def _operations(self, described: list[NoisyOperation], columns) -> list:
        """Create PennyLane's operations with their numbers, scalars or arrays (rows,)."""
        operations, at = [], 0
        for operation in described:
            numbers = columns[at : at + operation.n_numbers]
            operations.append(
                operation.operation(*numbers) if operation.n_numbers else self._fixed(operation)
            )
            at += operation.n_numbers
        return operations

    def _script(self, start, ops: list, measurements: list | None = None):
        """Build a tape of operations with noise channels and an optional initial state."""
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

    def _fixed(self, operation: NoisyOperation):
        """Return a cached operation without numbers."""
        if operation not in self._constants:
            self._constants[operation] = operation.operation()
        return self._constants[operation]

    def _channel(self, wires: tuple[int, ...]):
        if wires not in self._constants:
            self._constants[wires] = channel_after(wires, self.spec.options)
        return self._constants[wires]

    @functools.cached_property
    def final_operations(self) -> list[NoisyOperation]:
        """Operations of a finished row."""
        if not self.spec.options.basis:
            return self.operations
        return [p for p, _ in merged(self.operations, np.zeros((1, len(self.angles))))]

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
        """Text for cache keys: circuit without numbers, device and options."""
        operations = [(p.name, p.wires, _entries(p.matrix)) for p in self.final_operations]
        whole = [
            self.spec.meaning,
            self.circuit.n_qubits,
            self.readout.kind,
            self.readout.strings,
            self.circuit.start,
            operations,
        ]
        return json.dumps(whole).encode()


def amplitudes_of(spec: Spec, n_qubits: int) -> int:
    """Return the amplitudes or matrix entries of one circuit's state during simulation.

    A density matrix counts once per Kraus operator, of which a two-qubit depolarizing channel has
    16.
    """
    if ".mixed" not in spec.device:
        return 2**n_qubits
    return 4**n_qubits * (16 if spec.options.depolarizing_2q else 1)


def rows_together(spec: Spec, n_qubits: int) -> int:
    """Return the number of circuits per tape."""
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
    # the adjoint method supports only gates with one angle
    return _apart(circuit, lambda gate: len(gate.angles) > 1)


def _apart(circuit: Circuit, is_apart: Callable[[Gate], bool]) -> Circuit:
    """Replace selected gates of a circuit by their parts."""
    gates = [(gate.taken_apart() if is_apart(gate) else [gate]) for gate in circuit.gates]
    return Circuit(circuit.n_qubits, itertools.chain(*gates), circuit.start)
