"""Circuit as data: a tuple of gates with angles from inputs, parameters or constants.

Counting, drawing and export read this object. `qtha_lab.simulators` runs circuits. Foreign formats
are imported at first use.
"""

import collections
import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from qtha_lab.circuits.drawing import depth, draw_text
from qtha_lab.circuits.gates import Gate
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened

MOST_QUBITS = 10_000


@dataclasses.dataclass(frozen=True, eq=False, init=False)
class Circuit:
    """Sequence of gates on `n_qubits` qubits; wire 0 is the most significant bit.

    `start` is "zero", |0…0⟩, or "amplitudes": the 2^n inputs, real and normalised, are the initial
    state (amplitude embedding), and then no gate may read an input.

    Raises:
        Refusal: If a gate acts on a wire the circuit does not have, or `start` is unknown.

    Example:
        >>> from qtha_lab.circuits import Angle
        >>> bell = Circuit(2, [Gate("RY", 0, Angle.input(0)), Gate("CNOT", (0, 1))])
        >>> bell.n_inputs, bell.n_params, bell.depth(), bell.counts()
        (1, 0, 2, {'RY': 1, 'CNOT': 1})
        >>> print(bell.draw())
        0: ──RY(x0)─╭●─┤
        1: ─────────╰X─┤
    """

    n_qubits: int
    gates: tuple[Gate, ...]
    start: str

    def __init__(self, n_qubits: int, gates: Iterable[Gate], start: str = "zero") -> None:
        if not isinstance(gates, Iterable):
            raise Refusal(
                f"The gates of a circuit must be a list of Gate, got {shortened(repr(gates))}."
            )
        object.__setattr__(self, "n_qubits", n_qubits)
        object.__setattr__(self, "gates", tuple(gates))
        object.__setattr__(self, "start", start)
        if not isinstance(self.n_qubits, int) or self.n_qubits < 1:
            raise Refusal(f"n_qubits must be at least 1, got {shortened(repr(self.n_qubits))}.")
        if self.n_qubits > MOST_QUBITS:
            raise Refusal(
                f"n_qubits must be at most {MOST_QUBITS:,}, got {shortened(self.n_qubits)}."
            )
        for position, gate in enumerate(self.gates):
            if not isinstance(gate, Gate):
                raise Refusal(f"Gate {position} must be a Gate, got {shortened(repr(gate))}.")
            if max(gate.wires) >= self.n_qubits:
                raise Refusal(
                    f"The wires of a gate must be 0 to {self.n_qubits - 1}, "
                    f"got {max(gate.wires)} in gate {position}, {gate}."
                )
        if self.start not in ("zero", "amplitudes"):
            raise Refusal(f'start must be "zero" or "amplitudes", got {self.start!r}.')
        if self.start == "amplitudes" and self._highest("input") >= 0:
            raise Refusal(
                'A circuit that starts in "amplitudes" must have no input as an angle, got one. '
                "Its inputs are the initial state."
            )

    # Equality and hash by value; the hash is cached, since engines use it to find compiled
    # programs.
    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Circuit) and self._key == other._key

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self):
        return Circuit, self._key

    @property
    def _key(self) -> tuple[int, tuple[Gate, ...], str]:
        return self.n_qubits, self.gates, self.start

    @functools.cached_property
    def _hash(self) -> int:
        return hash(self._key)

    @functools.cached_property
    def n_inputs(self) -> int:
        """Number of data features: the highest input index plus one, or 2^n amplitudes."""
        if self.start == "amplitudes":
            return 2**self.n_qubits
        return self._highest("input") + 1

    @functools.cached_property
    def n_params(self) -> int:
        """Number of trainable angles: the highest parameter index plus one."""
        return self._highest("param") + 1

    def _highest(self, source: str) -> int:
        variables = (v for gate in self.gates for angle in gate.angles for v in angle.variables)
        return max((index for of, index in variables if of == source), default=-1)

    @classmethod
    def from_pennylane(
        cls,
        source: Any,
        *args: Any,
        inputs: str | Sequence[int] | Mapping[int, int] | None = None,
        wires: Iterable | None = None,
        **kwargs: Any,
    ) -> "Circuit":
        """Read a circuit; PennyLane decomposes operations that are not supported.

        A function is called at sixteen points and may not compare the numbers or read their values.
        A choice inside another library, or by arithmetic that differs elsewhere only, is not seen.

        Args:
            source: A QNode or quantum function, called with `args` and `kwargs` as in PennyLane; or
                a tape, or a list of operations.
            args: Example arguments; only their shapes matter. Floats, arrays and tensors
                become inputs and parameters, counted in order; integers and texts stay constant.
            inputs: For a function, the name of the argument with the data ("inputs", as in
                PennyLane's TorchLayer, if there is one). For a tape, the parameters, in order
                of use, that are data, or a mapping to input indices. Other ones become params.
            wires: Labels of wire 0, 1, …; by default those of the QNode's device, else integer
                labels in ascending order, else labels in order of use.
            kwargs: Further arguments of the function.

        Returns:
            A circuit of supported gates without measurements (see `observables_from_pennylane`).

        Raises:
            Refusal: If an operation cannot be expressed, an angle is no sum of parameters and
                products of inputs, or the gates depend on data.

        Example:
            >>> import pennylane as qml
            >>> tape = qml.tape.QuantumScript([qml.RX(0.1, "a"), qml.MultiRZ(0.2, ["a", "b"])])
            >>> print(Circuit.from_pennylane(tape, inputs=[0]).draw())
            0: ──RX(x0)─╭X─RZ(p0)─╭X─┤
            1: ─────────╰●────────╰●─┤
            >>> def layer(inputs, weights):
            ...     qml.AngleEmbedding(2 * inputs, wires=[0, 1])
            ...     qml.BasicEntanglerLayers(weights, wires=[0, 1])
            >>> print(Circuit.from_pennylane(layer, [0.0, 0.0], [[0.0, 0.0]]).draw())
            0: ──RX(2·x0)─RX(p0)─╭●─┤
            1: ──RX(2·x1)─RX(p1)─╰X─┤
        """
        from qtha_lab.circuits.imports.pennylane import gates_from_pennylane

        return cls(*gates_from_pennylane(source, args, kwargs, inputs, wires))

    @classmethod
    def from_qasm(cls, text: str, inputs: Sequence[str] | None = None) -> "Circuit":
        """Read the text of a program in OpenQASM 2 or 3.

        Args:
            text: The program; measurements at its end are omitted.
            inputs: Names of the program's inputs that are data, in order; by default x0, x1, ….
                Others become parameters, in the order of their declaration.

        Raises:
            Refusal: If a statement cannot be expressed, with its line; branches on measured values
                are refused.

        Example:
            >>> text = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; h q[0]; cx q[0], q[1];'
            >>> print(Circuit.from_qasm(text).draw())
            0: ──H─╭●─┤
            1: ────╰X─┤
        """
        from qtha_lab.circuits.imports.qasm import gates_from_qasm

        return cls(*gates_from_qasm(text, inputs))

    @classmethod
    def from_qiskit(cls, source: Any, inputs: Sequence[Any] | None = None) -> "Circuit":
        """Read a `qiskit.QuantumCircuit`, qubit i as wire i.

        Args:
            source: The circuit; measurements at its end are omitted.
            inputs: Parameters that are data, in order, or their names; by default those of a
                `ParameterVector` x. Others become parameters, in Qiskit's order.

        Raises:
            Refusal: If an instruction or an angle cannot be expressed; branches on measured values
                are refused.
        """
        from qtha_lab.circuits.imports.qiskit import gates_from_qiskit

        return cls(*gates_from_qiskit(source, inputs))

    def to_pennylane(self, inputs: Any, params: Any) -> list:
        """Return PennyLane's operations, which a quantum function queues (see `to_pennylane`).

        Example:
            >>> import numpy as np
            >>> bell = Circuit(2, [Gate("Hadamard", 0), Gate("CNOT", (0, 1))])
            >>> bell.to_pennylane(np.empty(0), np.empty(0))
            [H(0), CNOT(wires=[0, 1])]
        """
        from qtha_lab.circuits.exports import to_pennylane

        return to_pennylane(self, inputs, params)

    def to_qasm(
        self,
        inputs: Sequence[float] | None = None,
        params: Sequence[float] | None = None,
        version: int = 3,
    ) -> str:
        """Return the text of an OpenQASM program (see `to_qasm`).

        Args:
            inputs: One sample; None declares program inputs.
            params: Trainable angles; None declares program inputs.
            version: 2 or 3.

        Example:
            >>> print(Circuit(1, [Gate("Hadamard", 0)]).to_qasm(version=2))
            OPENQASM 2.0;
            include "qelib1.inc";
            qreg q[1];
            h q[0];
        """
        from qtha_lab.circuits.exports import to_qasm

        return to_qasm(self, inputs, params, version)

    def to_qiskit(
        self, inputs: Sequence[float] | None = None, params: Sequence[float] | None = None
    ) -> Any:
        """Return a `qiskit.QuantumCircuit`, wire i as qubit i (see `to_qiskit`)."""
        from qtha_lab.circuits.exports import to_qiskit

        return to_qiskit(self, inputs, params)

    def then(self, gates: Iterable[Gate]) -> "Circuit":
        """Return this circuit with more gates at the end."""
        more = tuple(gates)
        return Circuit(self.n_qubits, self.gates + more, self.start) if more else self

    def counts(self) -> dict[str, int]:
        """Count the gates of each name, in order of first use."""
        return dict(collections.Counter(gate.name for gate in self.gates))

    def depth(self, commuting: bool = False) -> int:
        """Count the time steps when gates on different wires run in parallel.

        Args:
            commuting: Reorder commuting gates first, such as those of a ring of CRZ.
        """
        return depth(self.gates, commuting)

    def two_qubit_depth(self, commuting: bool = False) -> int:
        """Count the time steps when only two-qubit gates take time."""
        return depth(self.gates, commuting, least_wires=2)

    def draw(self, width: int = 100, max_rows: int = 6) -> str:
        """Draw the circuit as text; x0 is input 0, p3 is parameter 3.

        Args:
            width: Maximum characters per line; a wider circuit continues below.
            max_rows: Maximum number of rows; further gates are counted, not drawn.
        """
        return draw_text(self, width, max_rows)

    def __str__(self) -> str:
        return self.draw()
