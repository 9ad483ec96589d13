"""Gate as data: its kind, wires and angles.

Simulates nothing. `gate_kinds` declares the kinds; `unitary` decomposes unitaries given as a
matrix.
"""

import dataclasses
import functools
import operator
from collections.abc import Iterable
from typing import Any, Protocol

from qtha_lab.circuits.angle import Angle
from qtha_lab.circuits.elementary_gates import Matrix, Part
from qtha_lab.circuits.gate_kinds import ALIASES, GATES, GateKind
from qtha_lab.circuits.unitary import checked, parts_of
from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import nearest

UNITARY = "QubitUnitary"
# Parts come from the matrix; of two wires, the first is the more significant bit.
_UNITARIES = {
    len(labels): GateKind(UNITARY, labels, lambda w, a: []) for labels in (("U",), ("U₁", "U₂"))
}


@dataclasses.dataclass(frozen=True, init=False)
class Gate:
    """Gate on given wires; a plain number is a constant angle.

    Args:
        name: Name of the gate, or its alias.
        wires: Wires; the control of a controlled gate comes first.
        angles: Angles of the gate, in radians.
        matrix: Matrix of a `QubitUnitary` only; use `Gate.unitary`.

    Raises:
        Refusal: If the gate is unknown, or the number of wires or angles does not match.

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
            raise Refusal(
                f"{self.name} must have {_count(kind.n_wires, 'wire')}, got {self.wires}."
            )
        if any(not isinstance(w, int) or w < 0 for w in self.wires):
            raise Refusal(f"Wires must be 0, 1, 2, …, got {self.wires}.")
        if len(set(self.wires)) != len(self.wires):
            raise Refusal(f"The wires of {self.name} must differ, got {self.wires}.")
        if len(self.angles) != kind.n_angles:
            count = _count(kind.n_angles, "angle")
            raise Refusal(f"{self.name} must have {count}, got {len(self.angles)}.")

    def _check_matrix(self) -> None:
        if (self.matrix is not None) != (self.name == UNITARY):
            raise Refusal(
                f"{UNITARY} and no other gate must have a matrix, got {self.name!r} with "
                f"{'none' if self.matrix is None else 'one'}. Write Gate.unitary(matrix, wires)."
            )
        if self.matrix is not None:
            object.__setattr__(self, "matrix", checked(self.matrix))

    @classmethod
    def unitary(cls, matrix: Any, wires: int | Iterable[int]) -> "Gate":
        """Create a constant gate on one or two wires from its matrix.

        Args:
            matrix: 2×2 or 4×4, array-like; the first of two wires is the more significant bit.
            wires: Wires of the gate.

        Raises:
            Refusal: If the matrix is not unitary, or does not fit the wires.

        Example:
            >>> rows = [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
            >>> swap = Gate.unitary(rows, (0, 1))
            >>> sum(kind == "CNOT" for kind, _, _ in swap.parts())
            3
        """
        return cls(UNITARY, wires, matrix=matrix)

    @property
    def kind(self) -> GateKind:
        """Declared kind; for a unitary, that of its number of wires."""
        if self.matrix is not None:
            return _UNITARIES[len(self.matrix) // 2]
        return GATES[self.name]

    def parts(self) -> list[Part]:
        """Return the parts of the gate (see `GateKind`)."""
        if self.matrix is not None:
            return list(parts_of(self.matrix, self.wires))
        return self.kind.parts(self.wires, self.angles)

    def taken_apart(self) -> list["Gate"]:
        """Return the parts as gates: RY, RZ, IsingZZ, PauliX and CNOT.

        Example:
            >>> [str(gate) for gate in Gate("Rot", 0, (0.1, 0.2, 0.3)).taken_apart()]
            ['RZ(0.1) on 0', 'RY(0.2) on 0', 'RZ(0.3) on 0']
        """
        return [_of_part(part) for part in self.parts()]

    def __str__(self) -> str:
        angles = f"({', '.join(map(str, self.angles))})" if self.angles else ""
        return f"{self.name}{angles} on {','.join(map(str, self.wires))}"


def _of_part(part: Part) -> Gate:
    kind, wires, angle = part
    if angle is None:
        return Gate("PauliX" if kind == "X" else kind, wires)
    if kind == "Z" and len(wires) == 2:
        return Gate("IsingZZ", wires, angle)
    return Gate(f"R{kind}", wires, angle)


def _as_tuple(value) -> tuple:
    if isinstance(value, Iterable) and not isinstance(value, str):
        return tuple(value)
    return (value,)


def _as_index(wire):
    """Convert an integer of NumPy to Python's; other values are checked later."""
    return operator.index(wire) if hasattr(wire, "__index__") else wire


def _as_angle(angle) -> Angle:
    if isinstance(angle, Angle):
        return angle
    try:
        number = float(angle)
    except (TypeError, ValueError):
        raise Refusal(
            f"An angle must be a number or an Angle, got {angle!r}. Write Angle.input(0) for data."
        ) from None
    return Angle.const(number)


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _unknown_gate(name: str) -> str:
    if str(name).lower() in ("toffoli", "ccx", "ccz", "cswap", "multirz", "multicontrolledx"):
        return (
            f"A gate must act on one or two wires, got {name!r}. "
            "Circuit.from_pennylane decomposes it."
        )
    by_lower = {spelling.lower(): spelling for spelling in [*GATES, *ALIASES]}
    lower = str(name).lower()
    hinted = {hint: kind.name for kind in GATES.values() for hint in kind.hints}
    hinted["unitary"] = "Gate.unitary(matrix, wires)"
    close = hinted.get(lower) or by_lower.get(lower) or by_lower.get(nearest(lower, by_lower) or "")
    hint = f": did you mean {close!r}?" if close else "."
    return f"Unknown gate {name!r}{hint} Known: {', '.join([*GATES, *ALIASES, UNITARY])}"


class CircuitLike(Protocol):
    """Data of a `Circuit`."""

    @property
    def n_qubits(self) -> int:
        """Number of qubits."""
        ...

    @property
    def gates(self) -> tuple[Gate, ...]:
        """Gates in order of application."""
        ...

    @property
    def start(self) -> str:
        """Initial state: "zero" or "amplitudes"."""
        ...

    @functools.cached_property
    def n_inputs(self) -> int:
        """Number of data features."""
        ...

    @functools.cached_property
    def n_params(self) -> int:
        """Number of trainable angles."""
        ...
