"""Compilation of a circuit to U3 on one qubit and CZ on two.

Neighbouring gates on one qubit become one U3. For neighbouring gates on one pair, XX, YY and ZZ
rotations are added up: a SWAP after a CRZ takes three CZ, not five.
"""

import cmath
import dataclasses
import math

from qtha_lab.circuits.angle import PI, Angle
from qtha_lab.circuits.circuit import Circuit
from qtha_lab.circuits.elementary_gates import Part, Terms, cnot, interaction
from qtha_lab.circuits.gates import Gate

_CZ: Terms = (None, None, Angle.const(-PI / 2))  # with a rotation by π/2 about Z on both wires
_QUARTER = Angle.const(-PI / 2)
_SWAP: Terms = (_QUARTER, _QUARTER, _QUARTER)


@dataclasses.dataclass(eq=False)
class NativeStep:
    """One U3, as the gates it combines, or one CZ."""

    wires: tuple[int, ...]
    gates: list[Gate]


@dataclasses.dataclass(eq=False)
class _Meeting:
    """XX, YY and ZZ rotations on two wires."""

    wires: tuple[int, ...]
    terms: Terms


def native_steps(circuit: Circuit) -> list[NativeStep]:
    """Compile the circuit to U3 and CZ.

    Example:
        >>> steps = native_steps(Circuit(2, [Gate("CNOT", (0, 1))]))
        >>> [(step.wires, len(step.gates)) for step in steps]
        [((1,), 1), ((0, 1), 1), ((1,), 1)]
    """
    meetings = _Builder(circuit.n_qubits)
    for gate in circuit.gates:
        _add(meetings, gate)
    lowered = _Builder(circuit.n_qubits)
    for item in meetings.finished():
        if isinstance(item, NativeStep):
            lowered.rotations(item.gates)
        else:
            for gate in _of_meeting(item):
                lowered.rotations([gate]) if len(gate.wires) == 1 else lowered.cz(gate)
    return lowered.finished()


class _Builder:
    """Builder of ordered steps, with a stack of steps per wire (latest on top)."""

    def __init__(self, n_qubits: int):
        self.items: list[NativeStep | _Meeting] = []
        self.stacks: list[list[NativeStep | _Meeting]] = [[] for _ in range(n_qubits)]

    def rotations(self, gates: list[Gate]) -> None:
        """Add gates on one wire to its open U3 or to a new one."""
        for gate in gates:
            top = self._open(gate.wires[0])
            if top is None:
                self._push(NativeStep(gate.wires, [gate]))
            elif _is_nothing([top.gates[-1], gate]):
                top.gates.pop()
                if not top.gates:
                    self._remove(top)
            else:
                top.gates.append(gate)

    def cz(self, gate: Gate) -> None:
        self._settle(gate.wires)
        self._push(NativeStep(gate.wires, [gate]))

    def meet(self, terms: Terms, wires: tuple[int, ...]) -> None:
        """Merge rotations of two wires into the preceding item, or append an item.

        They merge if only gates that may be postponed stand between.
        """
        self._settle(wires)
        waiting = self._waiting(terms, wires)
        meeting = self._under(wires, waiting)
        total = _sum(meeting.terms, terms) if meeting else None
        if meeting is None or total is None:
            self._push(_Meeting(wires, terms))
            return
        for step in waiting:
            self._remove(step)
        meeting.terms, paulis = _reduced(total, meeting.wires)
        if meeting.terms == (None, None, None):
            self._remove(meeting)
        self.rotations(paulis)
        exchange = dict(zip(wires, wires[::-1], strict=True)) if terms == _SWAP else {}
        for step in waiting:
            self.rotations([_on(g, exchange.get(g.wires[0], g.wires[0])) for g in step.gates])

    def finished(self) -> list:
        self._settle(range(len(self.stacks)))
        return self.items

    def _open(self, wire: int) -> NativeStep | None:
        top = self.stacks[wire][-1] if self.stacks[wire] else None
        return top if isinstance(top, NativeStep) and len(top.wires) == 1 else None

    def _waiting(self, terms: Terms, wires: tuple[int, ...]) -> list[NativeStep]:
        """Return the open U3 gates that may be applied afterwards.

        These are all for a SWAP, and the diagonal ones for ZZ alone.
        """
        tops = [top for wire in wires if (top := self._open(wire))]
        if terms == _SWAP:
            return tops
        only_z = terms[:2] == (None, None)
        return [t for t in tops if only_z and all(g.kind.is_diagonal for g in t.gates)]

    def _under(self, wires: tuple[int, ...], waiting: list[NativeStep]) -> _Meeting | None:
        """Return the last common item of both wires, apart from the postponed steps.

        Returns None if it is no `_Meeting`.
        """
        tops = []
        for wire in wires:
            stack = self.stacks[wire]
            below = stack[:-1] if stack and any(stack[-1] is step for step in waiting) else stack
            tops.append(below[-1] if below else None)
        return tops[0] if tops[0] is tops[1] and isinstance(tops[0], _Meeting) else None

    def _settle(self, wires) -> None:
        """Remove each open U3 that is the identity."""
        for wire in wires:
            top = self._open(wire)
            if top and _is_nothing(top.gates):
                self._remove(top)

    def _push(self, item: NativeStep | _Meeting) -> None:
        self.items.append(item)
        for wire in item.wires:
            self.stacks[wire].append(item)

    def _remove(self, item: NativeStep | _Meeting) -> None:
        """Remove an item, which is on top of its stacks."""
        self.items.remove(item)
        for wire in item.wires:
            self.stacks[wire].pop()


def _add(builder: _Builder, gate: Gate) -> None:
    if gate.kind.interaction is not None:
        builder.meet(gate.kind.interaction(gate.angles), gate.wires)
    elif len(gate.wires) == 1 and gate.matrix is None:
        builder.rotations([gate])
    else:
        parts = gate.parts()
        if all(
            kind == "Z" for kind, _, _ in parts
        ):  # diagonal, so in any order: two-wire parts first
            parts.sort(key=lambda part: -len(part[1]))
        for part in parts:
            _add_part(builder, part)


def _add_part(builder: _Builder, part: Part) -> None:
    kind, wires, angle = part
    if angle is None and kind == "CNOT":
        builder.rotations([Gate("Hadamard", wires[1])])
        _add_cz(builder, wires)
        builder.rotations([Gate("Hadamard", wires[1])])
    elif len(wires) == 2:
        builder.meet((None, None, angle), wires)
    else:
        builder.rotations(_of_part(part))


def _add_cz(builder: _Builder, wires: tuple[int, ...]) -> None:
    builder.meet(_CZ, wires)
    builder.rotations([Gate("RZ", wire, PI / 2) for wire in wires])


def _sum(first: Terms, second: Terms) -> Terms | None:
    """Add rotations term by term; None where two parameters would have to be added."""
    total = []
    for a, b in zip(first, second, strict=True):
        angle = (a or b) if a is None or b is None else a.plus(b)
        if angle is None and a is not None:
            return None
        total.append(angle)
    x, y, z = total
    return x, y, z


def _reduced(terms: Terms, wires: tuple[int, ...]) -> tuple[Terms, list[Gate]]:
    """Remove constant multiples of π: ZZ by π is Z⊗Z up to a phase."""
    rest: list[Angle | None] = []
    paulis: list[Gate] = []
    for term, pauli in zip(terms, ("PauliX", "PauliY", "PauliZ"), strict=True):
        if term is not None and term.source == "const":
            times = round(term.offset / PI)
            paulis += [Gate(pauli, wire) for wire in wires] * (times % 2)
            left = term.offset - times * PI
            term = None if abs(left) < 1e-12 else Angle.const(left)
        rest.append(term)
    x, y, z = rest
    return (x, y, z), paulis


def _of_meeting(item: _Meeting) -> list[Gate]:
    parts = interaction(item.terms, *item.wires)
    if item.terms == _SWAP:  # has fewer rotations as three CNOTs
        parts = Gate("SWAP", item.wires).parts()
    return [gate for part in parts for gate in _of_part(part)]


def _of_part(part: Part) -> list[Gate]:
    """Return rotations, Hadamards, X and CZ that equal a part, up to a phase."""
    kind, wires, angle = part
    if angle is None:
        if kind == "X":
            return [Gate("PauliX", wires)]
        return [Gate("Hadamard", wires[1]), Gate("CZ", wires), Gate("Hadamard", wires[1])]
    if len(wires) == 1:
        return [Gate(f"R{kind}", wires, angle)]
    if angle.source == "const" and math.isclose(abs(angle.offset), PI / 2, abs_tol=1e-12):
        # exp(∓iπ/4 ZZ) is CZ with a rotation by π/2 about Z on both wires
        return [Gate("CZ", wires), *(Gate("RZ", wire, angle) for wire in wires)]
    flip = _of_part(cnot(*wires))
    return [*flip, Gate("RZ", wires[1], angle), *flip]


def _on(gate: Gate, wire: int) -> Gate:
    return dataclasses.replace(gate, wires=(wire,))


def _is_nothing(gates: list[Gate]) -> bool:
    """Return True if constant gates on one wire multiply to a phase."""
    product = ((1, 0), (0, 1))
    for gate in gates:
        for kind, _, angle in gate.parts():
            if angle is not None and angle.source != "const":
                return False
            product = _times(_matrix(kind, angle), product)
    (a, b), (c, d) = product
    return abs(b) + abs(c) + abs(a - d) < 1e-12


def _matrix(kind: str, angle: Angle | None):
    if angle is None:
        return ((0, 1), (1, 0))
    half = angle.offset / 2
    if kind == "Z":
        return ((cmath.exp(-1j * half), 0), (0, cmath.exp(1j * half)))
    return ((math.cos(half), -math.sin(half)), (math.sin(half), math.cos(half)))


def _times(left, right):
    return tuple(
        tuple(sum(left[i][k] * right[k][j] for k in (0, 1)) for j in (0, 1)) for i in (0, 1)
    )
