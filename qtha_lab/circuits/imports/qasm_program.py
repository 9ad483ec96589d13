"""Statements of the syntax tree of an OpenQASM program, within a budget of steps.

PennyLane's `from_qasm3` (0.45) reads the same tree, but refuses stdgates.inc, barriers and rzz, and
limits no steps. Measurements at the end are omitted; branches are refused.
"""

import re
from collections import ChainMap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from openqasm3 import ast

from qtha_lab.circuits.gates import Gate
from qtha_lab.circuits.imports.program import MOST_GATES, ProgramGates, has_no_effect
from qtha_lab.circuits.imports.qasm_expression import DEEPEST, integer_of, text_of, value_of
from qtha_lab.circuits.polynomial import Polynomial
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened

MOST_QUBITS = 1_000
_LIBRARIES = ("qelib1.inc", "stdgates.inc")
_BRANCHES = (
    ast.BranchingStatement,
    ast.WhileLoop,
    ast.SwitchStatement,
    ast.BreakStatement,
    ast.ContinueStatement,
    ast.ReturnStatement,
)
_NUMBERS = ast.FloatType | ast.AngleType | ast.IntType | ast.UintType
_SETS = ast.RangeDefinition | ast.DiscreteSet
_Operand = ast.Identifier | ast.IndexedIdentifier


class ProgramReader:
    """State of a program while its statements are read.

    Args:
        inputs: Names of program inputs that are data, in order; None for x0, x1, ….
    """

    def __init__(self, inputs: Sequence[str] | None):
        self.inputs = None if inputs is None else list(inputs)
        self.registers: dict[str, list[int]] = {}
        self.gates = ProgramGates(0)
        self.budget = self.gates.budget
        self.n_params = 0

    def run(self, program: ast.Program) -> tuple[int, list[Gate]]:
        """Read all statements; return the number of qubits and the gates."""
        for statement in program.statements:
            self._read(statement)
        missing = [name for name in self.inputs or () if name not in self.gates.names]
        if missing:
            raise Refusal(f"inputs must name inputs of the program, got {shortened(missing[0])}.")
        return self.gates.n_qubits, self.gates.gates

    def _read(self, statement: ast.Statement | ast.Pragma) -> None:
        """Read a statement; a refusal names its line."""
        self.budget.spend(1)
        reader = _READERS.get(type(statement))
        try:
            if isinstance(statement, _BRANCHES):
                raise Refusal(
                    "The gates must not depend on measured values or data, "
                    f"got {text_of(statement)}. Write one circuit per branch."
                )
            if reader is not None:
                reader(self, statement)
            elif not has_no_effect(statement):
                raise Refusal(
                    f"A circuit must consist of gates, got the statement {text_of(statement)}."
                )
        except Refusal as problem:
            if str(problem).startswith("Line ") or statement.span is None:
                raise
            raise Refusal(f"Line {statement.span.start_line}: {problem}") from None

    # declarations

    def _include(self, statement: ast.Include) -> None:
        if statement.filename not in _LIBRARIES:
            raise Refusal(
                f"include must be {' or '.join(_LIBRARIES)}, got {shortened(statement.filename)}. "
                "Write its gates into the text."
            )

    def _input_or_output(self, statement: ast.IODeclaration) -> None:
        if statement.io_identifier.name == "output":
            return
        if not isinstance(statement.type, _NUMBERS):
            raise Refusal(f"A program input must be a number, got {text_of(statement)}.")
        name = statement.identifier.name
        index = re.fullmatch(r"x(\d{1,6})", name)
        if self.inputs is not None and name in self.inputs:
            variable = Polynomial.variable("input", self.inputs.index(name))
        elif self.inputs is None and index:
            variable = Polynomial.variable("input", int(index[1]))
        else:
            variable = Polynomial.variable("param", self.n_params)
            self.n_params += 1
        self.gates.names[name] = variable

    def _register(self, statement: ast.QubitDeclaration) -> None:
        size = 1 if statement.size is None else self._number(statement.size)
        n_qubits = self.gates.n_qubits + size
        if not 1 <= size <= n_qubits <= MOST_QUBITS:
            raise Refusal(f"A program must have 1 to {MOST_QUBITS} qubits, got {n_qubits}.")
        self.registers[statement.qubit.name] = list(range(self.gates.n_qubits, n_qubits))
        self.gates.n_qubits = n_qubits

    def _declare(self, statement: ast.ClassicalDeclaration | ast.ConstantDeclaration) -> None:
        value, name = statement.init_expression, statement.identifier.name
        if isinstance(value, ast.QuantumMeasurement):
            self._measure(value.qubit)
        elif value is None and not isinstance(statement.type, ast.BitType):
            raise Refusal(f"A number must have a value, got {text_of(statement)}.")
        elif value is not None and not isinstance(statement.type, ast.BitType):
            self.gates.names[name] = value_of(value, self.gates.names, self.budget)

    def _define(self, statement: ast.QuantumGateDefinition) -> None:
        self.gates.definitions[statement.name.name] = statement

    # loops and measurements

    def _repeat(self, statement: ast.ForInLoop) -> None:
        before = self.gates.names
        for value in self._values(statement.set_declaration):
            self.budget.spend(1)
            of_loop = {statement.identifier.name: Polynomial.const(value)}
            self.gates.names = ChainMap(of_loop, before)
            for inner in statement.block:
                self._read(inner)
        self.gates.names = before

    def _values(self, values: Any) -> Iterator[int]:
        """Yield the values of a set, or of a range with its last one."""
        if isinstance(values, ast.DiscreteSet):
            yield from map(self._number, values.values)
            return
        is_range = isinstance(values, ast.RangeDefinition)
        if not is_range or values.start is None or values.end is None:
            raise Refusal(f"A loop must run over a range such as [0:3], got {text_of(values)}.")
        first, last = self._number(values.start), self._number(values.end)
        step = 1 if values.step is None else self._number(values.step)
        if not step:
            raise Refusal(f"The step of a range must not be 0, got {text_of(values)}.")
        if abs(last - first) > MOST_GATES:
            raise Refusal(f"A loop must have at most {MOST_GATES:,} steps, got {text_of(values)}.")
        yield from range(first, last + (1 if step > 0 else -1), step)

    def _number(self, node: ast.Expression) -> int:
        return integer_of(node, self.gates.names, self.budget)

    def _reset(self, qubits: _Operand) -> None:
        for wire in self._wires(qubits):
            self.gates.reset(wire)

    def _measure(self, qubits: _Operand) -> None:
        for wire in self._wires(qubits):
            self.gates.measure(wire)

    # gates

    def _wires(self, operand: _Operand) -> list[int]:
        """Return the wires of one operand: a register, or some of its qubits."""
        is_indexed = isinstance(operand, ast.IndexedIdentifier)
        name = operand.name.name if is_indexed else operand.name
        if name not in self.registers:
            raise Refusal(f"A qubit must be declared before its use, got {text_of(operand)}.")
        wires = self.registers[name]
        indices = self._indices(operand) if is_indexed else range(len(wires))
        if any(not -len(wires) <= index < len(wires) for index in indices):
            raise Refusal(f"{name} must have the qubit, got {text_of(operand)} of {len(wires)}.")
        return [wires[index] for index in indices]

    def _indices(self, operand: ast.IndexedIdentifier) -> list[int]:
        first, *others = operand.indices
        if others or (isinstance(first, list) and len(first) > 1):
            raise Refusal(f"A qubit must have one index, got {text_of(operand)}.")
        chosen = first[0] if isinstance(first, list) else first
        indices = [*self._values(chosen)] if isinstance(chosen, _SETS) else [self._number(chosen)]
        self.budget.spend(len(indices) - 1)
        return indices

    def _call(self, gate: ast.QuantumGate) -> None:
        """Apply a gate, once per qubit of a register."""
        angles = [value_of(angle, self.gates.names, self.budget) for angle in gate.arguments]
        operands = [self._wires(operand) for operand in gate.qubits]
        lengths = {len(wires) for wires in operands if len(wires) > 1}
        if len(lengths) > 1:
            raise Refusal(f"Registers of one gate must have one length, got {text_of(gate)}.")
        if len(gate.modifiers) > DEEPEST:
            raise Refusal(
                f"A gate must have at most {DEEPEST} modifiers, got {len(gate.modifiers)}."
            )
        for number in range(max(lengths, default=1)):
            wires = [each[number] if len(each) > 1 else each[0] for each in operands]
            self.gates.apply(gate.name.name, wires, angles, gate.modifiers)


_READERS: dict[type, Callable[[ProgramReader, Any], None]] = {
    ast.Include: ProgramReader._include,
    ast.IODeclaration: ProgramReader._input_or_output,
    ast.QubitDeclaration: ProgramReader._register,
    ast.ClassicalDeclaration: ProgramReader._declare,
    ast.ConstantDeclaration: ProgramReader._declare,
    ast.QuantumGateDefinition: ProgramReader._define,
    ast.ForInLoop: ProgramReader._repeat,
    ast.QuantumMeasurementStatement: lambda program, of: program._measure(of.measure.qubit),
    ast.QuantumReset: lambda program, of: program._reset(of.qubits),
    ast.QuantumGate: ProgramReader._call,
}
