"""Gates of imported programs: names of OpenQASM and Qiskit, definitions, modifiers and order."""

import functools
from collections import ChainMap
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import openqasm3
from openqasm3 import ast

from qtha_lab.circuits.gate_kinds import GATES
from qtha_lab.circuits.gates import Gate
from qtha_lab.circuits.imports.qasm_expression import (
    DEEPEST,
    ReadingBudget,
    integer_of,
    text_of,
    value_of,
)
from qtha_lab.circuits.polynomial import Polynomial, gates_of
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened

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
# definitions of qelib1.inc and stdgates.inc, equal up to a global phase
_LIBRARY = """
gate sdg a { p(-pi/2) a; }
gate tdg a { p(-pi/4) a; }
gate sx a { rx(pi/2) a; }
gate sxdg a { rx(-pi/2) a; }
gate u3(t, f, l) a { rz(l) a; ry(t) a; rz(f) a; }
gate u(t, f, l) a { u3(t, f, l) a; }
gate U(t, f, l) a { u3(t, f, l) a; }
gate u2(f, l) a { u3(pi/2, f, l) a; }
gate r(t, f) a { u3(t, f - pi/2, pi/2 - f) a; }
gate cy a, b { sdg b; cx a, b; s b; }
gate ch a, b { ry(-pi/4) b; cz a, b; ry(pi/4) b; }
gate csx a, b { h b; cp(pi/2) a, b; h b; }
gate cu3(t, f, l) a, b {
  p((l + f)/2) a; p((l - f)/2) b; cx a, b; u3(-t/2, 0, -(f + l)/2) b; cx a, b; u3(t/2, f, 0) b;
}
gate cu(t, f, l, g) a, b { p(g) a; cu3(t, f, l) a, b; }
gate ccx a, b, c {
  h c; cx b, c; tdg c; cx a, c; t c; cx b, c; tdg c; cx a, c; t b; t c; h c; cx a, b; t a; tdg b;
  cx a, b;
}
gate ccz a, b, c { h c; ccx a, b, c; h c; }
gate cswap a, b, c { cx c, b; ccx a, b, c; cx c, b; }
gate iswap a, b { s a; s b; h a; cx a, b; cx b, a; h b; }
gate dcx a, b { cx a, b; cx b, a; }
gate rzx(t) a, b { h b; rzz(t) a, b; h b; }
"""
_CONTROLLED = {
    "x": "cx",
    "y": "cy",
    "z": "cz",
    "h": "ch",
    "rx": "crx",
    "ry": "cry",
    "rz": "crz",
    "p": "cp",
    "sx": "csx",
    "cx": "ccx",
    "swap": "cswap",
    "phase": "cp",
    "u1": "cp",
    "cz": "ccz",
}
_SELF_INVERSE = ("x", "y", "z", "h", "cx", "cy", "cz", "ch", "swap", "ccx", "ccz", "cswap", "id")
_INVERSE = {"s": "sdg", "t": "tdg", "sx": "sxdg"} | {"sdg": "s", "tdg": "t", "sxdg": "sx"}
_ONE_ANGLE = (
    "rx",
    "ry",
    "rz",
    "p",
    "phase",
    "u1",
    "crx",
    "cry",
    "crz",
    "cp",
    "cphase",
    "cu1",
    "rxx",
    "ryy",
    "rzz",
    "rzx",
)
_INV = ast.QuantumGateModifier(ast.GateModifierName.inv)

Angles = Sequence[Polynomial]
Modifiers = Sequence[ast.QuantumGateModifier]


@functools.cache
def _library() -> dict[str, ast.QuantumGateDefinition]:
    definitions: Any = openqasm3.parse(_LIBRARY).statements
    return {definition.name.name: definition for definition in definitions}


def _name_of(name: str) -> str | None:
    """Return our name of a gate of OpenQASM or Qiskit."""
    own = (kind.name for kind in GATES.values() if kind.qasm == name)
    return _OTHER_NAMES.get(name) or next(own, None)


def _inverse(name: str, angles: Angles) -> tuple[str, Angles]:
    """Return name and angles of the inverse of a gate."""
    if name in _SELF_INVERSE:
        return name, angles
    if name in _INVERSE:
        return _INVERSE[name], angles
    if name in _ONE_ANGLE:
        return name, [-angle for angle in angles]
    if name in ("u", "U", "u3") and len(angles) == 3:
        theta, phi, lam = angles
        return name, [-theta, -lam, -phi]
    raise Refusal(f"The inverse of a gate must be written as gates, got inv @ {shortened(name)}.")


def has_no_effect(statement: ast.Statement | ast.Pragma) -> bool:
    """Return True for a barrier, a pragma, and a phase without a control."""
    if isinstance(statement, ast.QuantumPhase):
        return all(each.modifier.name in ("inv", "pow") for each in statement.modifiers)
    return isinstance(statement, ast.QuantumBarrier | ast.Pragma)


class ProgramGates:
    """Gates of a program in order of application.

    Args:
        n_qubits: Number of qubits.

    Attributes:
        names: Values of the program's numbers.
        definitions: Gate definitions by name.
    """

    def __init__(self, n_qubits: int):
        self.n_qubits = n_qubits
        self.budget = ReadingBudget()
        self.gates: list[Gate] = []
        self.names: MutableMapping[str, Polynomial] = {}
        self.definitions = dict(_library())
        self._measured: set[int] = set()

    def apply(
        self, name: str, wires: Sequence[int], angles: Angles, modifiers: Modifiers, depth: int = 0
    ) -> None:
        """Add a gate.

        Args:
            name: Name in the program.
            wires: Qubits, controls first.
            angles: Angles in radians, as polynomials of the inputs.
            modifiers: `inv`, `pow` or `ctrl`, the first outermost.
            depth: Gate definitions around this one.

        Raises:
            Refusal: If the gate is not known, definitions nest too deeply, or a modifier does not
                fit the gate.
        """
        self.budget.spend(1 + len(wires) // 8)
        if not modifiers:
            if not self.add(name, wires, angles, depth):
                raise Refusal(f"A gate must be defined before its use, got {shortened(name)}.")
            return
        first, *rest = modifiers
        kinds = [each.modifier.name for each in modifiers]
        argument = first.argument
        number = 1 if argument is None else integer_of(argument, self.names, self.budget)
        if kinds[0] == "pow":
            for _ in range(min(abs(number), MOST_GATES + 1)):
                self.apply(name, wires, angles, [_INV, *rest] if number < 0 else rest, depth)
        elif kinds[0] == "inv":
            inverse, of = _inverse(name, angles)
            self.apply(inverse, wires, of, rest, depth)
        elif kinds == ["ctrl"] and number == 1 and name in _CONTROLLED:
            self.apply(_CONTROLLED[name], wires, angles, [], depth)
        elif kinds == ["ctrl", "ctrl"] and name == "x":
            self.apply("ccx", wires, angles, [], depth)
        else:
            raise Refusal(
                f"A controlled gate must be one of {', '.join(_CONTROLLED)}, "
                f"got {shortened(' @ '.join([*kinds, name]))}."
            )

    def add(
        self,
        name: str,
        wires: Sequence[int],
        angles: Sequence[Polynomial | float | None],
        depth: int = 0,
    ) -> bool:
        """Add a gate by its OpenQASM or Qiskit name; return False if unknown.

        Args:
            name: Name of the gate.
            wires: Qubits, controls first.
            angles: Angles in radians.
            depth: Gate definitions around this one.

        Raises:
            Refusal: If its wires or angles do not fit, or a wire was measured before.
        """
        numbers = [a if isinstance(a, Polynomial) else Polynomial.const(a or 0.0) for a in angles]
        if definition := self.definitions.get(name):
            self._expand(definition, wires, numbers, depth)
        elif name not in _NOTHING:
            if (own := _name_of(name)) is None:
                return False
            self._check(name, wires)
            self.gates += gates_of(own, wires, numbers)
        return True

    def _expand(
        self,
        definition: ast.QuantumGateDefinition,
        wires: Sequence[int],
        angles: Angles,
        depth: int,
    ) -> None:
        """Add the gates of a gate definition."""
        name, expected = definition.name.name, (len(definition.arguments), len(definition.qubits))
        if depth > DEEPEST:
            raise Refusal(f"Gate definitions must nest at most {DEEPEST} deep, got more in {name}.")
        if (len(angles), len(wires)) != expected:
            raise Refusal(
                f"{name} must have {expected[0]} angles and {expected[1]} qubits, "
                f"got {len(angles)} and {len(wires)}."
            )
        local = {qubit.name: wire for qubit, wire in zip(definition.qubits, wires, strict=True)}
        of_angles = {each.name: a for each, a in zip(definition.arguments, angles, strict=True)}
        names = ChainMap(of_angles, self.names)
        deeper = depth if definition is _library().get(name) else depth + 1
        for inner in definition.body:
            self.budget.spend(1)
            if isinstance(inner, ast.QuantumGate):
                numbers = [value_of(angle, names, self.budget) for angle in inner.arguments]
                inner_wires = [_local_wire(operand, local) for operand in inner.qubits]
                self.apply(inner.name.name, inner_wires, numbers, inner.modifiers, deeper)
            elif not has_no_effect(inner):
                raise Refusal(f"A statement must apply a gate, got {text_of(inner)}.")

    def add_matrix(self, name: str, matrix: Any, wires: Sequence[int]) -> None:
        """Add a gate from its matrix.

        Raises:
            Refusal: If there is no matrix, or it acts on more than two wires.
        """
        self._check(name, wires)
        if matrix is None or len(wires) > 2:
            raise Refusal(
                f"{name} must have a matrix on one or two wires, got wires {sorted(wires)}."
            )
        self.gates.append(Gate.unitary(matrix, wires))

    def reset(self, wire: int) -> None:
        """Accept a reset of a wire in state 0, where it has no effect.

        Raises:
            Refusal: If a gate or a measurement used the wire before.
        """
        self.budget.spend(1 + len(self.gates))
        if wire in self._measured or any(wire in gate.wires for gate in self.gates):
            raise Refusal(
                f"A reset must come before all gates of its qubit, got one on wire {wire} after "
                "them. Use a further qubit."
            )

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


def _local_wire(operand: Any, local: Mapping[str, int]) -> int:
    """Return the wire of a qubit of a gate definition."""
    if not isinstance(operand, ast.Identifier) or operand.name not in local:
        raise Refusal(f"A qubit must be declared before its use, got {text_of(operand)}.")
    return local[operand.name]
