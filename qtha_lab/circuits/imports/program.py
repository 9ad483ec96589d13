"""Gates of imported programs: names of OpenQASM and Qiskit, and checks of their order."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from qtha_lab.circuits.gate_kinds import GATES
from qtha_lab.circuits.gates import Gate
from qtha_lab.circuits.imports.budget import ReadingBudget
from qtha_lab.circuits.polynomial import Polynomial, gates_of
from qtha_lab.core.errors import Refusal

MOST_GATES = 100_000
_NOTHING = ("barrier", "id", "delay", "u0", "gphase", "global_phase")
_OTHER_NAMES = {
    "CX": "CNOT",
    "cnot": "CNOT",
    "u1": "PhaseShift",
    "phase": "PhaseShift",
    "cu1": "ControlledPhaseShift",
    "cphase": "ControlledPhaseShift",
    "rxx": "IsingXX",
    "ryy": "IsingYY",
    "rzz": "IsingZZ",
}
_PI = math.pi


def _name_of(name: str) -> str | None:
    """Return our name of a gate of OpenQASM or Qiskit."""
    own = (kind.name for kind in GATES.values() if kind.qasm == name)
    return _OTHER_NAMES.get(name) or next(own, None)


Steps = list[tuple[str, Sequence[int], Sequence[Any]]]


def _u3(theta, phi, lam) -> Steps:
    return [("rz", [0], [lam]), ("ry", [0], [theta]), ("rz", [0], [phi])]


def _cu3(theta, phi, lam) -> Steps:
    return [
        ("p", [0], [(lam + phi) * 0.5]),
        ("p", [1], [(lam - phi) * 0.5]),
        ("cx", [0, 1], []),
        ("u3", [1], [theta * -0.5, Polynomial.const(0.0), (phi + lam) * -0.5]),
        ("cx", [0, 1], []),
        ("u3", [1], [theta * 0.5, phi, Polynomial.const(0.0)]),
    ]


def _ccx() -> Steps:
    return [
        ("h", [2], []), ("cx", [1, 2], []), ("tdg", [2], []), ("cx", [0, 2], []), ("t", [2], []),
        ("cx", [1, 2], []), ("tdg", [2], []), ("cx", [0, 2], []), ("t", [1], []), ("t", [2], []),
        ("h", [2], []), ("cx", [0, 1], []), ("t", [0], []), ("tdg", [1], []), ("cx", [0, 1], []),
    ]  # fmt: skip


# Definitions of qelib1.inc and stdgates.inc, equal up to a global phase; wires by position.
_DEFINED: dict[str, Callable[..., Steps]] = {
    "sdg": lambda: [("p", [0], [-_PI / 2])],
    "tdg": lambda: [("p", [0], [-_PI / 4])],
    "sx": lambda: [("rx", [0], [_PI / 2])],
    "sxdg": lambda: [("rx", [0], [-_PI / 2])],
    "u2": lambda phi, lam: [("u3", [0], [_PI / 2, phi, lam])],
    "u3": _u3,
    "u": _u3,
    "U": _u3,
    "r": lambda theta, phi: [("u3", [0], [theta, phi - _PI / 2, -phi + _PI / 2])],
    "cy": lambda: [("sdg", [1], []), ("cx", [0, 1], []), ("s", [1], [])],
    "ch": lambda: [("ry", [1], [-_PI / 4]), ("cz", [0, 1], []), ("ry", [1], [_PI / 4])],
    "csx": lambda: [("h", [1], []), ("cp", [0, 1], [_PI / 2]), ("h", [1], [])],
    "cu3": _cu3,
    "cu": lambda theta, phi, lam, gamma: [("p", [0], [gamma]), ("cu3", [0, 1], [theta, phi, lam])],
    "ccx": _ccx,
    "ccz": lambda: [("h", [2], []), ("ccx", [0, 1, 2], []), ("h", [2], [])],
    "cswap": lambda: [("cx", [2, 1], []), ("ccx", [0, 1, 2], []), ("cx", [2, 1], [])],
    "iswap": lambda: [
        ("s", [0], []),
        ("s", [1], []),
        ("h", [0], []),
        ("cx", [0, 1], []),
        ("cx", [1, 0], []),
        ("h", [1], []),
    ],
    "dcx": lambda: [("cx", [0, 1], []), ("cx", [1, 0], [])],
    "rzx": lambda angle: [("h", [1], []), ("rzz", [0, 1], [angle]), ("h", [1], [])],
}


class ProgramGates:
    """Gates of a program in order of application.

    Args:
        n_qubits: Number of qubits.
    """

    def __init__(self, n_qubits: int):
        self.n_qubits = n_qubits
        self.budget = ReadingBudget()
        self.gates: list[Gate] = []
        self._measured: set[int] = set()

    def add(
        self, name: str, wires: Sequence[int], angles: Sequence[Polynomial | float | None]
    ) -> bool:
        """Add a gate by its OpenQASM or Qiskit name; return False if unknown.

        Args:
            name: Name of the gate.
            wires: Its wires.
            angles: Its angles.

        Raises:
            Refusal: If its wires or angles do not fit, or a wire was measured before.
        """
        if name in _NOTHING:
            return True
        own = _name_of(name)
        if own is None and name not in _DEFINED:
            return False
        self._check(name, wires)
        numbers = [a if isinstance(a, Polynomial) else Polynomial.const(a or 0.0) for a in angles]
        if own is not None:
            self.gates += gates_of(own, wires, numbers)
            return True
        try:
            steps = _DEFINED[name](*numbers)
            for step, places, step_angles in steps:
                self.add(step, [wires[place] for place in places], step_angles)
        except (TypeError, IndexError):
            raise Refusal(
                f"The numbers of angles and wires must fit {name}, "
                f"got {len(angles)} and {len(wires)}."
            ) from None
        return True

    def add_matrix(self, name: str, matrix: Any, wires: Sequence[int]) -> None:
        """Add a gate from its matrix.

        Args:
            name: Name of the gate in messages.
            matrix: The matrix; None if the gate has none.
            wires: Its wires; the first of two is the more significant bit.

        Raises:
            Refusal: If there is no matrix, or it acts on more than two wires.
        """
        self._check(name, wires)
        if matrix is None or len(wires) > 2:
            raise Refusal(
                f"{name} must have a matrix on one or two wires, got wires {sorted(wires)}."
            )
        self.gates.append(Gate.unitary(matrix, wires))

    def measure(self, wire: int) -> None:
        """Note a measurement at the end, which a circuit omits."""
        self._measured.add(wire)

    def _check(self, name: str, wires: Sequence[int]) -> None:
        if len(self.gates) >= MOST_GATES:
            raise Refusal(f"A program must have at most {MOST_GATES:,} gates, got more.")
        if measured := self._measured.intersection(wires):
            raise Refusal(
                f"No gate must follow a measurement, got {name} on wire {min(measured)}. "
                "Measure at the end only."
            )
