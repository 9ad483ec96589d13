"""Gates and their angles, as data: what each gate is called, takes and is made of.

Simulates nothing. Every gate is a product of turns about Y, turns about strings of Z, and
relabellings of basis states (X, CNOT); the engines know only these, so a gate is one entry here.
Unitaries given as a matrix are taken apart in `unitary`.
"""

import dataclasses
import operator
from collections.abc import Callable, Iterable
from typing import Any

from qtha_lab.circuits.angle import PI, Angle
from qtha_lab.circuits.parts import Matrix, Part, cnot, flip, turn_x, turn_y, turn_z
from qtha_lab.circuits.unitary import checked, parts_of
from qtha_lab.errors import Refusal
from qtha_lab.settings import nearest


@dataclasses.dataclass(frozen=True)
class GateKind:
    """What a gate takes, how it is drawn and what it is made of.

    `labels` has one text a wire; "●" marks a control. `parts(wires, angles)` lists, in the order
    of time, ("Y", (wire,), angle), ("Z", wires, angle), ("X", (wire,), None) and
    ("CNOT", (control, target), None); together they equal the gate up to a global phase.
    ("Z", wires, a) is exp(-i a/2 Z⊗…⊗Z), so on one wire it is RZ(a).
    """

    name: str
    n_wires: int
    n_angles: int
    labels: tuple[str, ...]
    parts: Callable[[tuple[int, ...], tuple[Angle, ...]], list[Part]]


def _swap(a: int, b: int) -> list[Part]:
    return [cnot(a, b), cnot(b, a), cnot(a, b)]


def _controlled_phase(a: int, b: int, angle: Angle) -> list[Part]:
    return [
        turn_z(a, angle.times(0.5)),
        turn_z(b, angle.times(0.5)),
        turn_z((a, b), angle.times(-0.5)),
    ]


def _cry(control: int, target: int, angle: Angle) -> list[Part]:
    """RY(a/2) · CNOT · RY(-a/2) · CNOT: nothing if the control is 0, RY(a) if it is 1."""
    half = angle.times(0.5)
    between = cnot(control, target)
    return [between, turn_y(target, half.times(-1.0)), between, turn_y(target, half)]


def _crx(control: int, target: int, angle: Angle) -> list[Part]:
    return [turn_z(target, PI / 2), *_cry(control, target, angle), turn_z(target, -PI / 2)]


def _xx(a: int, b: int, angle: Angle) -> list[Part]:
    return [cnot(a, b), *turn_x(a, angle), cnot(a, b)]


def _yy(a: int, b: int, angle: Angle) -> list[Part]:
    before, after = ([turn_z(w, turn) for w in (a, b)] for turn in (-PI / 2, PI / 2))
    return [*before, *_xx(a, b, angle), *after]


_PI = Angle.const(PI)
_KINDS = [
    GateKind("RX", 1, 1, ("RX",), lambda w, a: turn_x(w[0], a[0])),
    GateKind("RY", 1, 1, ("RY",), lambda w, a: [turn_y(w[0], a[0])]),
    GateKind("RZ", 1, 1, ("RZ",), lambda w, a: [turn_z(w[0], a[0])]),
    GateKind("PhaseShift", 1, 1, ("Rϕ",), lambda w, a: [turn_z(w[0], a[0])]),
    GateKind(
        "Rot",
        1,
        3,
        ("Rot",),
        lambda w, a: [turn_z(w[0], a[0]), turn_y(w[0], a[1]), turn_z(w[0], a[2])],
    ),
    GateKind(
        "Hadamard", 1, 0, ("H",), lambda w, a: [turn_z(w[0], PI), turn_y(w[0], Angle.const(PI / 2))]
    ),
    GateKind("PauliX", 1, 0, ("X",), lambda w, a: [flip(w[0])]),
    GateKind("PauliY", 1, 0, ("Y",), lambda w, a: [turn_z(w[0], PI), flip(w[0])]),
    GateKind("PauliZ", 1, 0, ("Z",), lambda w, a: [turn_z(w[0], PI)]),
    GateKind("S", 1, 0, ("S",), lambda w, a: [turn_z(w[0], PI / 2)]),
    GateKind("T", 1, 0, ("T",), lambda w, a: [turn_z(w[0], PI / 4)]),
    GateKind("CNOT", 2, 0, ("●", "X"), lambda w, a: [cnot(w[0], w[1])]),
    GateKind("CZ", 2, 0, ("●", "Z"), lambda w, a: _controlled_phase(w[0], w[1], _PI)),
    GateKind("SWAP", 2, 0, ("SWAP", "SWAP"), lambda w, a: _swap(w[0], w[1])),
    GateKind("CRX", 2, 1, ("●", "RX"), lambda w, a: _crx(w[0], w[1], a[0])),
    GateKind("CRY", 2, 1, ("●", "RY"), lambda w, a: _cry(w[0], w[1], a[0])),
    GateKind(
        "CRZ",
        2,
        1,
        ("●", "RZ"),
        lambda w, a: [turn_z(w[1], a[0].times(0.5)), turn_z(w, a[0].times(-0.5))],
    ),
    GateKind(
        "ControlledPhaseShift", 2, 1, ("●", "Rϕ"), lambda w, a: _controlled_phase(w[0], w[1], a[0])
    ),
    GateKind("IsingXX", 2, 1, ("XX", "XX"), lambda w, a: _xx(w[0], w[1], a[0])),
    GateKind("IsingYY", 2, 1, ("YY", "YY"), lambda w, a: _yy(w[0], w[1], a[0])),
    GateKind("IsingZZ", 2, 1, ("ZZ", "ZZ"), lambda w, a: [turn_z(w, a[0])]),
]
GATES: dict[str, GateKind] = {kind.name: kind for kind in _KINDS}


UNITARY = "QubitUnitary"
# The parts are read from the matrix; of two wires the first is the more significant bit.
_UNITARIES = {
    n: GateKind(UNITARY, n, 0, labels, lambda w, a: [])
    for n, labels in ((1, ("U",)), (2, ("U₁", "U₂")))
}

# The usual short names; gates carry the long one, as in PennyLane.
ALIASES = {
    "H": "Hadamard",
    "X": "PauliX",
    "Y": "PauliY",
    "Z": "PauliZ",
    "CX": "CNOT",
    "CPhase": "ControlledPhaseShift",
}


@dataclasses.dataclass(frozen=True, init=False)
class Gate:
    """One gate on given wires; a bare number is a constant angle.

    Args:
        name: The gate's name, or its usual short one.
        wires: Where it acts; a controlled gate's control comes first.
        angles: As many as the gate takes, in radians.
        matrix: Of a `QubitUnitary` alone; `Gate.unitary` is the way to one.

    Raises:
        Refusal: If there is no such gate, or it takes other wires or angles.

    Example:
        >>> str(Gate("CRZ", (0, 1), Angle.param(3))), str(Gate("RY", 0, 0.5)), str(Gate("H", 1))
        ('CRZ(p3) on 0,1', 'RY(0.5) on 0', 'Hadamard on 1')
    """

    name: str
    wires: tuple[int, ...]
    angles: tuple[Angle, ...]
    matrix: Matrix | None = dataclasses.field(repr=False)

    def __init__(
        self,
        name: str,
        wires: int | Iterable[int],
        angles: Angle | float | Iterable[Angle | float] = (),
        matrix: Any = None,
    ) -> None:
        object.__setattr__(self, "name", ALIASES.get(name, name))
        object.__setattr__(self, "wires", tuple(map(_as_index, _as_tuple(wires))))
        object.__setattr__(self, "angles", tuple(map(_as_angle, _as_tuple(angles))))
        object.__setattr__(self, "matrix", matrix)
        self._check_matrix()
        if self.name not in GATES and self.name != UNITARY:
            raise Refusal(_unknown_gate(self.name))
        kind = self.kind
        if len(self.wires) != kind.n_wires:
            raise Refusal(f"{self.name} acts on {_count(kind.n_wires, 'wire')}, not {self.wires}")
        if any(not isinstance(w, int) or w < 0 for w in self.wires):
            raise Refusal(f"wires are numbered 0, 1, 2, …, not {self.wires}")
        if len(set(self.wires)) != len(self.wires):
            raise Refusal(f"{self.name} needs different wires, not {self.wires}")
        if len(self.angles) != kind.n_angles:
            wanted = _count(kind.n_angles, "angle")
            raise Refusal(f"{self.name} takes {wanted}, not {len(self.angles)}")

    def _check_matrix(self) -> None:
        if (self.matrix is not None) != (self.name == UNITARY):
            raise Refusal(
                f"a matrix belongs to {UNITARY} and to no other gate: "
                f"use Gate.unitary(matrix, wires), not {self.name!r}"
            )
        if self.matrix is not None:
            object.__setattr__(self, "matrix", checked(self.matrix))

    @classmethod
    def unitary(cls, matrix: Any, wires: int | Iterable[int]) -> "Gate":
        """Any constant gate on one or two wires, given by its matrix.

        Args:
            matrix: 2×2 or 4×4, array-like; the first of two wires is the more significant bit.
            wires: Where it acts.

        Raises:
            ValueError: If the matrix is not unitary, or does not fit the wires.

        Example:
            >>> swap = Gate.unitary([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], (0, 1))
            >>> sum(kind == "CNOT" for kind, _, _ in swap.parts())
            3
        """
        return cls(UNITARY, wires, matrix=matrix)

    @property
    def kind(self) -> GateKind:
        if self.matrix is not None:
            return _UNITARIES[len(self.matrix) // 2]
        return GATES[self.name]

    def parts(self) -> list[Part]:
        """What the gate is made of (see `GateKind`)."""
        if self.matrix is not None:
            return list(parts_of(self.matrix, self.wires))
        return self.kind.parts(self.wires, self.angles)

    def __str__(self) -> str:
        angles = f"({', '.join(map(str, self.angles))})" if self.angles else ""
        return f"{self.name}{angles} on {','.join(map(str, self.wires))}"


def _as_tuple(value) -> tuple:
    if isinstance(value, Iterable) and not isinstance(value, str):
        return tuple(value)
    return (value,)


def _as_index(wire):
    """NumPy's whole numbers become Python's; what is none is refused later, with all wires."""
    return operator.index(wire) if hasattr(wire, "__index__") else wire


def _as_angle(angle) -> Angle:
    if isinstance(angle, Angle):
        return angle
    try:
        number = float(angle)
    except (TypeError, ValueError):
        raise Refusal(
            f"an angle is a number or an Angle, as in Angle.input(0), not {angle!r}"
        ) from None
    return Angle.const(number)


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


_HINTS = {
    "p": "PhaseShift",
    "phase": "PhaseShift",
    "cp": "CPhase",
    "u": "Rot",
    "u3": "Rot",
    "unitary": "Gate.unitary(matrix, wires)",
    "u1": "PhaseShift",
    "xx": "IsingXX",
    "yy": "IsingYY",
    "zz": "IsingZZ",
    "rxx": "IsingXX",
    "ryy": "IsingYY",
    "rzz": "IsingZZ",
    "sdg": "PhaseShift",
    "tdg": "PhaseShift",
}


def _unknown_gate(name: str) -> str:
    if str(name).lower() in ("toffoli", "ccx", "ccz", "cswap", "multirz", "multicontrolledx"):
        return (
            f"gates act on one or two wires, and {name!r} on more: "
            "Circuit.from_pennylane takes it apart"
        )
    by_lower = {known.lower(): known for known in [*GATES, *ALIASES]}
    lower = str(name).lower()
    close = _HINTS.get(lower) or by_lower.get(lower) or by_lower.get(nearest(lower, by_lower) or "")
    hint = f": did you mean {close!r}?" if close else "."
    return f"unknown gate {name!r}{hint} Known: {', '.join([*GATES, *ALIASES, UNITARY])}"
