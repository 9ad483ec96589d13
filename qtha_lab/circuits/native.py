"""A circuit in the gates of a chip: U3 on one qubit, CZ on two.

Neighbouring gates on one qubit become one U3; CZ gates that meet themselves, and turns that come
to nothing, are taken out. Two-qubit gates in a row on one pair are not merged further.
"""

import cmath
import dataclasses
import itertools
import math

from qtha_lab.circuits.circuit import Circuit
from qtha_lab.circuits.gates import PI, Angle, Gate, Part


@dataclasses.dataclass(eq=False)
class Step:
    """One U3, as the gates that it stands for, or one CZ."""

    wires: tuple[int, ...]
    gates: list[Gate]


def native_steps(circuit: Circuit) -> list[Step]:
    """The circuit as U3 and CZ.

    Example:
        >>> steps = native_steps(Circuit(2, [Gate("CNOT", (0, 1))]))
        >>> [(step.wires, [gate.name for gate in step.gates]) for step in steps]
        [((1,), ['Hadamard']), ((0, 1), ['CZ']), ((1,), ['Hadamard'])]
    """
    steps: list[Step] = []
    on_wire: list[list[Step]] = [[] for _ in range(circuit.n_qubits)]

    def settle(wire: int) -> None:
        """Take out a U3 that does nothing."""
        last = on_wire[wire][-1] if on_wire[wire] else None
        if last and len(last.wires) == 1 and _is_nothing(last.gates):
            steps.remove(on_wire[wire].pop())

    for gate in itertools.chain.from_iterable(map(_small, circuit.gates)):
        stacks = [on_wire[wire] for wire in gate.wires]
        if len(gate.wires) == 1:
            if stacks[0] and len(stacks[0][-1].wires) == 1:
                stacks[0][-1].gates.append(gate)
                continue
        else:
            for wire in gate.wires:
                settle(wire)
            if all(stacks) and stacks[0][-1] is stacks[1][-1]:
                steps.remove(stacks[0].pop())
                stacks[1].pop()
                continue
        step = Step(gate.wires, [gate])
        steps.append(step)
        for stack in stacks:
            stack.append(step)
    for wire in range(circuit.n_qubits):
        settle(wire)
    return steps


def _small(gate: Gate) -> list[Gate]:
    """Turns, Hadamards, X and CZ that make the gate, up to a phase."""
    if gate.name == "CZ" or (len(gate.wires) == 1 and gate.matrix is None):
        return [gate]
    return [small for part in gate.parts() for small in _of_part(part)]


def _of_part(part: Part) -> list[Gate]:
    kind, wires, angle = part
    if kind == "CNOT":
        return [Gate("Hadamard", wires[1]), Gate("CZ", wires), Gate("Hadamard", wires[1])]
    if len(wires) == 1:
        return [Gate("PauliX", wires) if kind == "X" else Gate(f"R{kind}", wires, angle)]
    if angle.source == "const" and math.isclose(abs(angle.offset), PI / 2, abs_tol=1e-12):
        # exp(∓iπ/4 ZZ) is CZ with a quarter turn about Z on both
        return [Gate("CZ", wires), *(Gate("RZ", wire, angle) for wire in wires)]
    flip = _of_part(("CNOT", wires, None))
    return [*flip, Gate("RZ", wires[1], angle), *flip]


def _is_nothing(gates: list[Gate]) -> bool:
    """Whether constant gates on one wire multiply to a phase."""
    product = ((1, 0), (0, 1))
    for gate in gates:
        for kind, _, angle in gate.parts():
            if angle is not None and angle.source != "const":
                return False
            product = _times(_matrix(kind, angle), product)
    (a, b), (c, d) = product
    return abs(b) + abs(c) + abs(a - d) < 1e-12


def _matrix(kind: str, angle: Angle | None):
    if kind == "X":
        return ((0, 1), (1, 0))
    half = angle.offset / 2
    if kind == "Z":
        return ((cmath.exp(-1j * half), 0), (0, cmath.exp(1j * half)))
    return ((math.cos(half), -math.sin(half)), (math.sin(half), math.cos(half)))


def _times(left, right):
    return tuple(
        tuple(sum(left[i][k] * right[k][j] for k in (0, 1)) for j in (0, 1)) for i in (0, 1)
    )
