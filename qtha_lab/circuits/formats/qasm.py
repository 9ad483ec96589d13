"""Export of a circuit as OpenQASM 3 text, for other simulators and hardware.

Uses only gates of stdgates.inc. Global phases and measurements are omitted.
"""

from collections.abc import Callable, Sequence

from qtha_lab.circuits.angle import PI, Angle
from qtha_lab.circuits.circuit import Circuit
from qtha_lab.circuits.gates import Gate
from qtha_lab.circuits.parts import Part
from qtha_lab.circuits.preparation import preparation
from qtha_lab.core.errors import Refusal

Text = Callable[[Angle], str]


def to_qasm(
    circuit: Circuit,
    inputs: Sequence[float] | None = None,
    params: Sequence[float] | None = None,
) -> str:
    """Write a circuit as OpenQASM 3.

    Args:
        circuit: Circuit to write.
        inputs: One sample, (n_inputs,); None declares program inputs, `input float x0;`.
        params: Trainable angles, (n_params,); None declares program inputs `p0`, `p1`, ….

    Returns:
        The program's text, angles in radians, wire i as `q[i]`.

    Raises:
        Refusal: If the numbers do not fit the circuit, or its initial amplitudes are missing.

    Example:
        >>> print(to_qasm(Circuit(2, [Gate("RY", 0, Angle.input(0, 2.0)), Gate("CNOT", (0, 1))])))
        OPENQASM 3.0;
        include "stdgates.inc";
        input float[64] x0;
        qubit[2] q;
        ry(2.0*x0) q[0];
        cx q[0], q[1];

    Source:
        OpenQASM 3.0 live specification, https://openqasm.com; Cross et al. 2022, arXiv:2104.14722.
    """
    numbers = {
        "input": _numbers("inputs", inputs, circuit.n_inputs),
        "param": _numbers("params", params, circuit.n_params),
    }
    prepared = ()
    if circuit.start == "amplitudes":
        if numbers["input"] is None:
            raise Refusal(
                "a circuit that starts in amplitudes needs its inputs to be written as QASM"
            )
        prepared = preparation(circuit.n_qubits, numbers["input"])
    declarations = [
        f"input float[64] {letter}{index};"
        for source, letter, count in (
            ("input", "x", circuit.n_inputs),
            ("param", "p", circuit.n_params),
        )
        if numbers[source] is None
        for index in range(count)
    ]
    lines = [
        "OPENQASM 3.0;",
        'include "stdgates.inc";',
        *declarations,
        f"qubit[{circuit.n_qubits}] q;",
    ]
    for gate in (*prepared, *circuit.gates):
        lines += _lines(gate, lambda angle: _expression(angle, numbers))
    return "\n".join(lines)


def _numbers(name: str, values, count: int) -> list[float] | None:
    if values is None:
        return None
    if hasattr(values, "detach"):
        values = values.detach()
    numbers = [float(value) for value in values]
    if len(numbers) != count:
        raise Refusal(f"{name} must be the circuit's {count}, one sample, not {len(numbers)}")
    return numbers


def _lines(gate: Gate, text: Text) -> list[str]:
    if gate.kind.qasm:
        angles = f"({', '.join(map(text, gate.angles))})" if gate.angles else ""
        return [f"{gate.kind.qasm}{angles} {_qubits(gate.wires)};"]
    return [line for part in gate.parts() for line in _part(part, text)]


def _part(part: Part, text: Text) -> list[str]:
    kind, wires, angle = part
    if angle is None:
        return [f"{'x' if kind == 'X' else 'cx'} {_qubits(wires)};"]
    if kind == "Y":
        return [f"ry({text(angle)}) {_qubits(wires)};"]
    parity = [f"cx {_qubits((wire, wires[-1]))};" for wire in wires[:-1]]
    return [*parity, f"rz({text(angle)}) {_qubits(wires[-1:])};", *reversed(parity)]


def _qubits(wires: tuple[int, ...]) -> str:
    return ", ".join(f"q[{wire}]" for wire in wires)


def _expression(angle: Angle, numbers: dict[str, list[float] | None]) -> str:
    """Write an angle as `-0.5*p3 + pi/2`, or as a number where known."""
    if angle.source == "const":
        return _number(angle.offset)
    numbers_of_source = numbers[angle.source]
    if numbers_of_source is not None:
        return _number(angle.scale * numbers_of_source[angle.index] + angle.offset)
    name = f"{'x' if angle.source == 'input' else 'p'}{angle.index}"
    scaled = {1.0: name, -1.0: f"-{name}"}.get(angle.scale, f"{_number(angle.scale)}*{name}")
    return scaled if angle.offset == 0 else f"{scaled} + {_number(angle.offset)}"


def _number(value: float) -> str:
    for denominator in (1, 2, 4):
        times = value * denominator / PI
        if times in (1.0, -1.0):
            return f"{'-' if times < 0 else ''}pi{f'/{denominator}' if denominator > 1 else ''}"
    return repr(value)
