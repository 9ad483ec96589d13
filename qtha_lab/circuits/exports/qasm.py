"""Export of a circuit as OpenQASM 2 or 3 text, for other simulators and hardware.

Uses only gates of stdgates.inc or qelib1.inc. Global phases and measurements are omitted.
"""

from collections.abc import Sequence

from qtha_lab.circuits.angle import PI, Angle
from qtha_lab.circuits.exports.numbers import SampleValues
from qtha_lab.circuits.gates import Gate
from qtha_lab.circuits.parts import Part
from qtha_lab.circuits.protocol import CircuitLike
from qtha_lab.core.errors import Refusal

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
    name = "*".join(f"{'x' if angle.source == 'input' else 'p'}{i}" for i in angle.indices)
    scaled = {1.0: name, -1.0: f"-{name}"}.get(angle.scale, f"{_number(angle.scale)}*{name}")
    return scaled if angle.offset == 0 else f"{scaled} + {_number(angle.offset)}"


def _number(value: float) -> str:
    for denominator in (1, 2, 4):
        times = value * denominator / PI
        if times in (1.0, -1.0):
            return f"{'-' if times < 0 else ''}pi{f'/{denominator}' if denominator > 1 else ''}"
    return repr(value)
