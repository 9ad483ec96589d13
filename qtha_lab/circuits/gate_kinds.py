"""Registry of gate kinds, one entry each with all properties of the kind.

Engines, drawings, exports, schedules and costs read the entry, so a new kind needs only one entry.
Properties that follow from the parts, such as the matrix or inverse gates, are not declared.
"""

import dataclasses
from collections.abc import Callable

from qtha_lab.circuits.angle import PI, Angle
from qtha_lab.circuits.elementary_gates import (
    Part,
    Terms,
    Wires,
    cnot,
    flip_wire,
    rotation_x,
    rotation_y,
    rotation_z,
)
from qtha_lab.core.errors import Refusal
from qtha_lab.core.registry import Registry

CONTROL = "●"
Angles = tuple[Angle, ...]


@dataclasses.dataclass(frozen=True)
class GateKind:
    """Kind of gate on one or two wires.

    Args:
        name: Name, as in PennyLane where it exists there.
        labels: Label drawn on each wire; "●" marks a control.
        parts: Returns, for wires and angles, the ordered rotations and flips equal to the gate up
            to a global phase (see `qtha_lab.circuits.elementary_gates`). Engines use nothing else.
        n_angles: Number of angles, in radians.
        commutes_with: Pauli per wire that commutes with the gate, as "ZX" for CNOT; "" where it
            has none. A kind with "Z" on every wire is diagonal.
        frequencies: Frequencies of expectations in each angle: differences of eigenvalues of its
            generator. (1,) for a Pauli rotation, (½, 1) for a controlled one; the gradient
            needs two circuits per frequency.
        interaction: For XX, YY and ZZ rotations, their angles from the gate's: compilation adds
            neighbouring ones. With None, the gate is compiled from its parts.
        local: Kind of the rotation that remains on the second wire without entanglement.
        qasm: Name in stdgates.inc of OpenQASM 3; None writes the parts.
        in_pennylane: PennyLane has an operation of that name; otherwise the parts are exported.
        aliases: Short names that `Gate` accepts.
        hints: Names of this or similar gates in other libraries.

    Example:
        >>> kind = GATES["CRZ"]
        >>> kind.n_wires, kind.n_angles, kind.commutes_with, kind.frequencies, kind.qasm
        (2, 1, 'ZZ', (0.5, 1.0), 'crz')

    Source:
        Frequencies and shift rules: Wierichs et al. 2022, arXiv:2107.12390.
    """

    name: str
    labels: tuple[str, ...]
    parts: Callable[[Wires, Angles], list[Part]]
    n_angles: int = 0
    commutes_with: str = ""
    frequencies: tuple[float, ...] = (1.0,)
    interaction: Callable[[Angles], Terms] | None = None
    local: str | None = None
    qasm: str | None = None
    in_pennylane: bool = True
    aliases: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()

    def __post_init__(self):
        if self.n_wires not in (1, 2):
            raise Refusal(
                f"A gate must act on one or two wires, got {self.name!r} with {self.labels}."
            )
        if self.commutes_with and len(self.commutes_with) != self.n_wires:
            raise Refusal(
                f"commutes_with of {self.name!r} must have one Pauli per wire, got "
                f"{self.commutes_with!r}."
            )

    @property
    def n_wires(self) -> int:
        """Number of wires."""
        return len(self.labels)

    @property
    def is_diagonal(self) -> bool:
        """True if the gate commutes with Z on every wire."""
        return self.commutes_with == "Z" * self.n_wires


GATES: Registry[GateKind] = Registry(
    "gate", "qtha_lab.circuits", prefix="gate_kinds", group="qtha_lab.gates"
)
ALIASES: dict[str, str] = {}  # short name to name


def gate_kind(kind: GateKind) -> GateKind:
    """Register a kind of gate for use as `Gate(kind.name, …)`.

    Returns:
        The same entry.

    Raises:
        Refusal: If another file has registered the name, or a short name belongs to another gate.

    Example:
        >>> from qtha_lab.circuits import Angle, Circuit, Gate
        >>> def parts(wires, angles):
        ...     return rotation_x(wires[0], Angle.const(PI / 2))
        >>> root_x = gate_kind(GateKind("SX", ("√X",), parts,
        ...     commutes_with="X", qasm="sx"))
        >>> print(Circuit(1, [Gate("SX", 0)]).draw())
        0: ──√X─┤
    """
    for alias in kind.aliases:
        if ALIASES.get(alias, kind.name) != kind.name or alias in GATES:
            raise Refusal(f"Aliases of {kind.name!r} must not name another gate, got {alias!r}.")
    GATES.add(kind.name, kind, kind.parts.__module__)
    ALIASES.update(dict.fromkeys(kind.aliases, kind.name))
    return kind


def _swap(a: int, b: int) -> list[Part]:
    return [cnot(a, b), cnot(b, a), cnot(a, b)]


def _controlled_phase(a: int, b: int, angle: Angle) -> list[Part]:
    half = angle.times(0.5)
    return [rotation_z(a, half), rotation_z(b, half), rotation_z((a, b), angle.times(-0.5))]


def _controlled_y(control: int, target: int, angle: Angle) -> list[Part]:
    """Return the parts of a controlled RY(a): RY(a/2) · CNOT · RY(-a/2) · CNOT.

    The product is the identity if the control is 0, and RY(a) if it is 1.
    """
    half = angle.times(0.5)
    between = cnot(control, target)
    return [between, rotation_y(target, half.times(-1.0)), between, rotation_y(target, half)]


def _controlled_x(control: int, target: int, angle: Angle) -> list[Part]:
    about_y = _controlled_y(control, target, angle)
    return [rotation_z(target, PI / 2), *about_y, rotation_z(target, -PI / 2)]


def _controlled_z(control: int, target: int, angle: Angle) -> list[Part]:
    return [rotation_z(target, angle.times(0.5)), rotation_z((control, target), angle.times(-0.5))]


def _xx(a: int, b: int, angle: Angle) -> list[Part]:
    return [cnot(a, b), *rotation_x(a, angle), cnot(a, b)]


def _yy(a: int, b: int, angle: Angle) -> list[Part]:
    before, after = (
        [rotation_z(wire, rotation) for wire in (a, b)] for rotation in (-PI / 2, PI / 2)
    )
    return [*before, *_xx(a, b, angle), *after]


_PI, _HALF_PI, _QUARTER = map(Angle.const, (PI, PI / 2, -PI / 2))
_ONE_WIRE = [
    GateKind("RX", ("RX",), lambda w, a: rotation_x(w[0], a[0]), 1, "X", qasm="rx"),
    GateKind("RY", ("RY",), lambda w, a: [rotation_y(w[0], a[0])], 1, "Y", qasm="ry"),
    GateKind("RZ", ("RZ",), lambda w, a: [rotation_z(w[0], a[0])], 1, "Z", qasm="rz"),
    GateKind(
        "PhaseShift", ("Rϕ",), lambda w, a: [rotation_z(w[0], a[0])], 1, "Z",
        qasm="p", hints=("p", "phase", "u1", "sdg", "tdg"),
    ),
    GateKind(
        "Rot", ("Rot",),
        lambda w, a: [rotation_z(w[0], a[0]), rotation_y(w[0], a[1]), rotation_z(w[0], a[2])], 3,
        hints=("u", "u3"),
    ),
    GateKind(
        "Hadamard", ("H",), lambda w, a: [rotation_z(w[0], PI), rotation_y(w[0], _HALF_PI)],
        qasm="h", aliases=("H",),
    ),
    GateKind("PauliX", ("X",), lambda w, a: [flip_wire(w[0])], 0, "X", qasm="x", aliases=("X",)),
    GateKind(
        "PauliY", ("Y",), lambda w, a: [rotation_z(w[0], PI), flip_wire(w[0])], 0, "Y",
        qasm="y", aliases=("Y",),
    ),
    GateKind(
        "PauliZ", ("Z",), lambda w, a: [rotation_z(w[0], PI)], 0, "Z", qasm="z", aliases=("Z",)
    ),
    GateKind("S", ("S",), lambda w, a: [rotation_z(w[0], PI / 2)], 0, "Z", qasm="s"),
    GateKind("T", ("T",), lambda w, a: [rotation_z(w[0], PI / 4)], 0, "Z", qasm="t"),
]  # fmt: skip
_TWO_WIRES = [
    GateKind(
        "CNOT", (CONTROL, "X"), lambda w, a: [cnot(w[0], w[1])], 0, "ZX",
        qasm="cx", aliases=("CX",),
    ),
    GateKind(
        "CZ", (CONTROL, "Z"), lambda w, a: _controlled_phase(w[0], w[1], _PI), 0, "ZZ", qasm="cz"
    ),
    GateKind(
        "SWAP", ("SWAP", "SWAP"), lambda w, a: _swap(w[0], w[1]),
        interaction=lambda a: (_QUARTER, _QUARTER, _QUARTER), qasm="swap",
    ),
    GateKind(
        "CRX", (CONTROL, "RX"), lambda w, a: _controlled_x(w[0], w[1], a[0]), 1, "ZX",
        frequencies=(0.5, 1.0), local="RX", qasm="crx",
    ),
    GateKind(
        "CRY", (CONTROL, "RY"), lambda w, a: _controlled_y(w[0], w[1], a[0]), 1, "ZY",
        frequencies=(0.5, 1.0), local="RY", qasm="cry",
    ),
    GateKind(
        "CRZ", (CONTROL, "RZ"), lambda w, a: _controlled_z(w[0], w[1], a[0]), 1, "ZZ",
        frequencies=(0.5, 1.0), local="RZ", qasm="crz",
    ),
    GateKind(
        "ControlledPhaseShift", (CONTROL, "Rϕ"),
        lambda w, a: _controlled_phase(w[0], w[1], a[0]), 1, "ZZ",
        local="PhaseShift", qasm="cp", aliases=("CPhase",), hints=("cp",),
    ),
    GateKind(
        "IsingXX", ("XX", "XX"), lambda w, a: _xx(w[0], w[1], a[0]), 1, "XX",
        interaction=lambda a: (a[0], None, None), local="RX", hints=("xx", "rxx"),
    ),
    GateKind(
        "IsingYY", ("YY", "YY"), lambda w, a: _yy(w[0], w[1], a[0]), 1, "YY",
        interaction=lambda a: (None, a[0], None), local="RY", hints=("yy", "ryy"),
    ),
    GateKind(
        "IsingZZ", ("ZZ", "ZZ"), lambda w, a: [rotation_z(w, a[0])], 1, "ZZ",
        interaction=lambda a: (None, None, a[0]), local="RZ", hints=("zz", "rzz"),
    ),
]  # fmt: skip
for _kind in [*_ONE_WIRE, *_TWO_WIRES]:
    GATES.add(_kind.name, _kind, __name__)
    ALIASES.update(dict.fromkeys(_kind.aliases, _kind.name))
