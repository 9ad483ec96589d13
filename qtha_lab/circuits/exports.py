"""Export of circuits to PennyLane, Qiskit and OpenQASM.

PennyLane writes OpenQASM 2, which has no program inputs.
"""

import importlib
from collections.abc import Sequence
from typing import Any

from qtha_lab.circuits.angle import PI, Angle
from qtha_lab.circuits.composite_gates import preparation
from qtha_lab.circuits.elementary_gates import Part
from qtha_lab.circuits.gates import CircuitLike, Gate
from qtha_lab.core.errors import Refusal


class SampleValues:
    """Inputs and parameters of an export; None leaves them as variables.

    Raises:
        Refusal: If the numbers do not fit the circuit, or its initial amplitudes are missing.
    """

    def __init__(
        self, circuit: CircuitLike, inputs: Sequence[float] | None, params: Sequence[float] | None
    ):
        self.circuit = circuit
        self.inputs = _numbers("inputs", inputs, circuit.n_inputs)
        self.params = _numbers("params", params, circuit.n_params)
        self.numbers = {"input": self.inputs, "param": self.params}
        if circuit.start == "amplitudes" and self.inputs is None:
            raise Refusal(
                "A circuit that starts in amplitudes cannot be exported without inputs. Pass "
                "inputs=[…] with its amplitudes."
            )

    def gates(self) -> tuple[Gate, ...]:
        """Return the gates, after those that prepare the initial amplitudes."""
        if self.circuit.start != "amplitudes" or self.inputs is None:
            return self.circuit.gates
        return (*preparation(self.circuit.n_qubits, self.inputs), *self.circuit.gates)

    def value(self, angle: Angle) -> float | None:
        """Return an angle in radians, or None if its variable has no value."""
        product = angle.scale if angle.variables else 0.0
        for source, index in angle.variables:
            if (numbers := self.numbers[source]) is None:
                return None
            product *= numbers[index]
        return product + angle.offset

    def unknown_names(self) -> list[str]:
        """Return the names of all variables, x0, x1, …, p0, p1, …, without a value."""
        xs = range(self.circuit.n_inputs if self.inputs is None else 0)
        ps = range(self.circuit.n_params if self.params is None else 0)
        return [*(f"x{i}" for i in xs), *(f"p{i}" for i in ps)]


def _numbers(name: str, values, count: int) -> list[float] | None:
    if values is None:
        return None
    if hasattr(values, "detach"):
        values = values.detach()
    numbers = [float(value) for value in values]
    if len(numbers) != count:
        raise Refusal(f"{name} must hold {count} numbers, one sample, got {len(numbers)}.")
    return numbers


def to_pennylane(circuit: CircuitLike, inputs, params) -> list:
    """Return the circuit's gates as PennyLane operations.

    Inside a quantum function, the operations are queued.

    Args:
        circuit: Circuit to export.
        inputs: Data, (n_inputs,) or a batch (batch, n_inputs), which PennyLane broadcasts.
        params: Trainable angles, (n_params,), in radians.

    Returns:
        The operations in order, on wires 0, 1, …; first an `AmplitudeEmbedding` if the
        circuit starts in amplitudes.

    Example:
        >>> import numpy as np
        >>> from qtha_lab.circuits import Circuit
        >>> rotation = Circuit(1, [Gate("RY", 0, Angle.input(0, scale=2.0))])
        >>> to_pennylane(rotation, np.array([0.25]), np.array([]))
        [RY(np.float64(0.5), wires=[0])]
    """
    import numpy as np
    import pennylane as qml

    def value(angle: Angle):
        number = angle.value(inputs, params)
        # PennyLane's Rot cannot mix plain numbers with tensors
        return params.new_tensor(number) if isinstance(number, float) and is_torch else number

    def operation(gate: Gate):
        if gate.matrix is not None:
            return qml.QubitUnitary(np.array(gate.matrix), wires=gate.wires)
        return getattr(qml, gate.name)(*map(value, gate.angles), wires=gate.wires)

    def operations(gate: Gate) -> list:
        return [
            operation(part) for part in ([gate] if gate.kind.in_pennylane else gate.taken_apart())
        ]

    is_torch = hasattr(params, "new_tensor")
    start = []
    if circuit.start == "amplitudes":
        start = [qml.AmplitudeEmbedding(inputs, range(circuit.n_qubits), normalize=True)]
    return start + [operation for gate in circuit.gates for operation in operations(gate)]


_IN_QASM_2 = {"p": "u1", "cp": "cu1"}  # names in the qelib1.inc of Cross et al. 2017


def to_qasm(
    circuit: CircuitLike,
    inputs: Sequence[float] | None = None,
    params: Sequence[float] | None = None,
    version: int = 3,
) -> str:
    """Write a circuit as OpenQASM.

    Args:
        circuit: Circuit to write.
        inputs: One sample, (n_inputs,); None declares program inputs, `input float x0;`.
        params: Trainable angles, (n_params,); None declares program inputs `p0`, `p1`, ….
        version: 2 or 3; OpenQASM 2 has no program inputs.

    Returns:
        The program's text, angles in radians, wire i as `q[i]`.

    Raises:
        Refusal: If the numbers do not fit the circuit, or its initial amplitudes or the numbers of
            OpenQASM 2 are missing.

    Example:
        >>> from qtha_lab.circuits import Circuit
        >>> print(to_qasm(Circuit(2, [Gate("RY", 0, Angle.input(0, 2.0)), Gate("CNOT", (0, 1))])))
        OPENQASM 3.0;
        include "stdgates.inc";
        input float[64] x0;
        qubit[2] q;
        ry(2.0*x0) q[0];
        cx q[0], q[1];

    Source:
        OpenQASM 3.0 live specification, https://openqasm.com; Cross et al. 2022, arXiv:2104.14722,
        and 2017, arXiv:1707.03429.
    """
    if version not in (2, 3):
        raise Refusal(f"version must be 2 or 3, got {version!r}.")
    values = SampleValues(circuit, inputs, params)
    names = values.unknown_names()
    if version == 2 and names:
        raise Refusal(
            f"Inputs and params must be given for OpenQASM 2, got no value of {names[0]}. Use "
            "version=3 for program inputs."
        )
    head = (
        ["OPENQASM 2.0;", 'include "qelib1.inc";', f"qreg q[{circuit.n_qubits}];"]
        if version == 2
        else [
            "OPENQASM 3.0;",
            'include "stdgates.inc";',
            *(f"input float[64] {name};" for name in names),
            f"qubit[{circuit.n_qubits}] q;",
        ]
    )
    lines = [line for gate in values.gates() for line in _lines(gate, values, version)]
    return "\n".join(head + lines)


def _lines(gate: Gate, values: SampleValues, version: int) -> list[str]:
    name = gate.kind.qasm
    if name:
        name = _IN_QASM_2.get(name, name) if version == 2 else name
        texts = ", ".join(_expression(angle, values) for angle in gate.angles)
        return [f"{name}{f'({texts})' if texts else ''} {_qubits(gate.wires)};"]
    return [line for part in gate.parts() for line in _part(part, values)]


def _part(part: Part, values: SampleValues) -> list[str]:
    kind, wires, angle = part
    if angle is None:
        return [f"{'x' if kind == 'X' else 'cx'} {_qubits(wires)};"]
    text = _expression(angle, values)
    if kind == "Y":
        return [f"ry({text}) {_qubits(wires)};"]
    parity = [f"cx {_qubits((wire, wires[-1]))};" for wire in wires[:-1]]
    return [*parity, f"rz({text}) {_qubits(wires[-1:])};", *reversed(parity)]


def _qubits(wires: tuple[int, ...]) -> str:
    return ", ".join(f"q[{wire}]" for wire in wires)


def _expression(angle: Angle, values: SampleValues) -> str:
    """Write an angle as `-0.5*p3 + pi/2`, or as a number where known."""
    known = values.value(angle)
    if known is not None:
        return _number(known)
    known_or_name = [
        name if numbers is None else _number(numbers[index])
        for name, (source, index) in zip(angle.names, angle.variables, strict=True)
        for numbers in [values.numbers[source]]
    ]
    name = "*".join(known_or_name)
    scaled = {1.0: name, -1.0: f"-{name}"}.get(angle.scale, f"{_number(angle.scale)}*{name}")
    return scaled if angle.offset == 0 else f"{scaled} + {_number(angle.offset)}"


def _number(value: float) -> str:
    for denominator in (1, 2, 4):
        times = value * denominator / PI
        if times in (1.0, -1.0):
            return f"{'-' if times < 0 else ''}pi{f'/{denominator}' if denominator > 1 else ''}"
    return repr(value)


_METHODS = {"IsingXX": "rxx", "IsingYY": "ryy", "IsingZZ": "rzz"}


def to_qiskit(
    circuit: CircuitLike,
    inputs: Sequence[float] | None = None,
    params: Sequence[float] | None = None,
) -> Any:
    """Return the circuit as a `QuantumCircuit`, wire i as qubit i.

    Qiskit counts qubits from the least significant bit. Global phases are omitted.

    Raises:
        Refusal: If Qiskit is not installed, or the numbers do not fit the circuit.

    Example:
        >>> from qtha_lab.circuits import Circuit, Gate
        >>> rotation = Circuit(2, [Gate("RY", 1, Angle.param(0, 2.0)), Gate("CNOT", (1, 0))])
        >>> print(to_qiskit(rotation))  # doctest: +SKIP
    """
    qiskit = _import_qiskit()
    values = SampleValues(circuit, inputs, params)
    names = values.unknown_names()
    vectors = {
        source: qiskit.circuit.ParameterVector(letter, sum(name[0] == letter for name in names))
        for source, letter in (("input", "x"), ("param", "p"))
    }

    def expression(angle: Angle) -> Any:
        known = values.value(angle)
        if known is not None:
            return known
        product: Any = angle.scale
        for source, index in angle.variables:
            numbers = values.numbers[source]
            product = (vectors[source] if numbers is None else numbers)[index] * product
        return product + angle.offset

    result = qiskit.QuantumCircuit(circuit.n_qubits)
    for gate in values.gates():
        if gate.matrix is not None:  # Qiskit's first qubit is the least significant bit
            result.unitary(gate.matrix, gate.wires[::-1])
            continue
        name = _METHODS.get(gate.name) or gate.kind.qasm
        for part in [gate] if name else gate.taken_apart():
            method = getattr(result, str(name or _METHODS.get(part.name) or part.kind.qasm))
            method(*map(expression, part.angles), *part.wires)
    return result


def _import_qiskit() -> Any:
    """Import Qiskit.

    Raises:
        Refusal: If it is not installed.
    """
    try:
        return importlib.import_module("qiskit")
    except ImportError:
        raise Refusal(
            "Circuits cannot be converted without Qiskit. Run pip install qiskit."
        ) from None
