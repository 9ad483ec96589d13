"""Import of OpenQASM 2 and 3 programs, by the syntax tree of the package openqasm3.

The text is limited before it is parsed, since the parser has no limits, and the steps of the tree
afterwards. PennyLane's `from_qasm3` (0.45) reads the same tree, but refuses stdgates.inc, barriers
and rzz, and limits no steps. Measurements at the end are omitted; branches are refused.
"""

import contextlib
import io
import re
from collections import ChainMap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import openqasm3
from openqasm3 import ast
from openqasm3.parser import QASM3ParsingError

from qtha_lab.circuits.gates import Gate
from qtha_lab.circuits.imports.program import MOST_GATES, ProgramGates, has_no_effect
from qtha_lab.circuits.imports.qasm_expression import (
    DEEPEST,
    MOST_CHARACTERS,
    MOST_IN_STATEMENT,
    MOST_NESTED,
    MOST_OPERATIONS,
    integer_of,
    text_of,
    value_of,
)
from qtha_lab.circuits.polynomial import Polynomial
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened

_OPENING = re.compile(r"^[^\S\n]*OPENQASM\s+[23]", re.MULTILINE)
OPENING, CLOSING = tuple("([{"), tuple(")]}")
BREAKS = (*OPENING, *CLOSING, ";")
_OTHER_SPELLINGS = (  # that the grammar of OpenQASM 3 lacks
    (r"#?\bpragma\b[^;\n]*;?", ""),
    (r"\^", "**"),
    (r"\bdouble\b", "float"),
    (r"\bfor\s+(\w+)\s+in\b", r"for int \1 in"),
    (r"(?<=[;{}])(\s*);", r"\1"),
    (r"([(\[,=*/+\-])(\s*)\+", r"\1\2"),
)


def gates_from_qasm(text: str, inputs: Sequence[str] | None = None) -> tuple[int, list[Gate]]:
    """Return the qubits and gates for `Circuit.from_qasm`.

    Raises:
        Refusal: If the text is no such program, or a statement cannot be expressed. The message
            names the line.
    """
    if isinstance(text, str) and len(text) > MOST_CHARACTERS:
        raise Refusal(
            f"A program must have at most {MOST_CHARACTERS:,} characters, got {len(text):,}."
        )
    plain = _uncommented(text) if isinstance(text, str) else ""
    if not _OPENING.search(plain):
        raise Refusal(
            f"The text must begin with OPENQASM 2.0 or OPENQASM 3.0, got {shortened(repr(text))}. "
            "Pass the text of a file, not its name."
        )
    _check_statements(plain)
    for pattern, replacement in _OTHER_SPELLINGS:
        plain = re.sub(pattern, replacement, plain)
    try:
        return ProgramReader(inputs).run(_parsed(plain))
    except RecursionError:  # in the parser
        raise Refusal(
            "Expressions and blocks must nest less deeply, got more levels than Python's stack."
        ) from None


def _uncommented(text: str) -> str:
    """Replace comments by spaces, so that lines keep their numbers."""
    return re.sub(r"//[^\n]*|/\*.*?(?:\*/|\Z)", _blank, text, flags=re.DOTALL)


def _blank(comment: re.Match) -> str:
    text = comment.group()
    if text.startswith("/*") and (len(text) < 4 or not text.endswith("*/")):
        raise Refusal(f"A comment must end with */, got {shortened(text)}.")
    return re.sub(r"[^\n]", " ", text)


def _check_statements(text: str) -> None:
    """Refuse what the parser would read for hours: deep brackets, and long statements."""
    begin = depth = operations = 0
    for match in re.finditer(r"[;(){}\[\]]|[-+*/^<>=!&|~%@]+|\Z", text):
        token = match.group()
        depth += (token in OPENING) - (token in CLOSING)
        operations += token == "(" or (len(token) if token and token not in BREAKS else 0)
        length = match.start() - begin
        limits = (
            (depth, MOST_NESTED, "The depth of blocks and brackets"),
            (length, MOST_IN_STATEMENT, "The number of characters of a statement"),
            (operations, MOST_OPERATIONS, "The number of operations of a statement"),
        )
        for count, most, rule in limits:
            if count > most:
                line = text.count("\n", 0, match.start()) + 1
                raise Refusal(f"Line {line}: {rule} must be at most {most:,}, got more.")
        if token in ("", ";", "{", "}"):
            begin, operations = match.end(), 0


def _parsed(text: str) -> openqasm3.ast.Program:
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # ANTLR prints its messages
            return openqasm3.parse(text)
    except QASM3ParsingError as problem:
        raise _no_program(problem) from None
    except ValueError:  # a number of more digits than Python converts
        raise Refusal("A number must have at most 4,300 digits, got more.") from None


def _no_program(problem: QASM3ParsingError) -> Refusal:
    """Return the refusal of a text that does not fit the grammar, with its line."""
    cause = problem.__cause__
    token = getattr(cause and cause.args[0], "offendingToken", None)
    if token is None:  # of the lexer, or of a check of the tree
        line, _, message = str(problem).removeprefix("L").partition(":")
        return Refusal(
            f"Line {line}: The text must fit the grammar of OpenQASM, "
            f"got {shortened(message.partition(': ')[2])}."
        )
    if token.text == "<EOF>":
        return Refusal(
            f"Line {token.line}: Each statement must end with ; or }}, got the end of the text."
        )
    return Refusal(
        f"Line {token.line}: The text must fit the grammar of OpenQASM, "
        f"got {shortened(token.text)} in column {token.column + 1}."
    )


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
