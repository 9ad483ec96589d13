"""Import of OpenQASM 2 and 3 programs.

Gate definitions, registers, constants, program inputs, `for` over whole numbers and the modifiers
`inv`, `pow` and `ctrl` are read. Measurements at the end are omitted; branches are refused.
"""

import math
import re
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import NamedTuple

from qtha_lab.circuits.gates import Gate
from qtha_lab.circuits.imports.budget import DEEPEST, MOST_CHARACTERS, MOST_IN_STATEMENT
from qtha_lab.circuits.imports.program import MOST_GATES, ProgramGates
from qtha_lab.circuits.imports.qasm_expression import evaluate_expression
from qtha_lab.circuits.polynomial import Polynomial
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened

MOST_QUBITS = 1_000
_LIBRARIES = ("qelib1.inc", "stdgates.inc")
_BRANCHES = ("if", "else", "while", "switch", "case", "break", "continue", "return")
_FOREIGN = ("reset", "opaque", "def", "extern", "defcal", "cal", "box", "let", "array", "end")
_CONTROLLED = {
    "x": "cx", "y": "cy", "z": "cz", "h": "ch", "rx": "crx", "ry": "cry", "rz": "crz", "p": "cp",
    "sx": "csx", "cx": "ccx", "swap": "cswap", "phase": "cp", "u1": "cp", "cz": "ccz",
}  # fmt: skip
_SELF_INVERSE = ("x", "y", "z", "h", "cx", "cy", "cz", "ch", "swap", "ccx", "ccz", "cswap", "id")
_INVERSE = {"s": "sdg", "t": "tdg", "sx": "sxdg"} | {"sdg": "s", "tdg": "t", "sxdg": "sx"}
_ONE_ANGLE = (
    "rx", "ry", "rz", "p", "phase", "u1", "crx", "cry", "crz", "cp", "cphase", "cu1", "rxx", "ryy",
    "rzz", "rzx", "gphase",
)  # fmt: skip
_OPENING = re.compile(r"^[^\S\n]*OPENQASM\s+[23]", re.MULTILINE)
_CALL = re.compile(
    r"(?P<modifiers>(?:(?:inv|ctrl|negctrl|pow)\s*(?:\([^)]*\))?\s*@\s*)*)"
    r"(?P<name>[A-Za-z_]\w*)\s*(?:\((?P<angles>.*)\))?\s*(?P<qubits>[^()]*)",
    re.DOTALL,
)
_DECLARATION = re.compile(
    r"(?:(?P<const>const)\s+)?(?:float|angle|int|uint|double)(?:\s*\[[^]]*\])?\s+"
    r"(?P<name>\w+)\s*=\s*(?P<value>.+)",
    re.DOTALL,
)
_INPUT = re.compile(r"input\s+(?:float|angle|double|int|uint)(?:\s*\[[^]]*\])?\s+(?P<name>\w+)")
_REGISTER = re.compile(
    r"(?:(?P<old>qreg|creg)\s+(?P<name>\w+)\s*\[(?P<size>[^]]+)\]"
    r"|(?P<new>qubit|bit)\s*(?:\[(?P<length>[^]]+)\])?\s*(?P<label>\w+)(?:\s*=\s*(?P<value>.+))?)",
    re.DOTALL,
)
_FOR = re.compile(
    r"for\s+(?:u?int(?:\s*\[[^]]*\])?\s+)?(?P<name>\w+)\s+in\s+(?P<values>.+)", re.DOTALL
)


class Statement(NamedTuple):
    """Statement of a program: its text, the statements of its block, and its line."""

    text: str
    body: "list[Statement] | None"
    line: int


class Definition(NamedTuple):
    """Gate definition: names of its angles and qubits, and its statements."""

    angles: list[str]
    qubits: list[str]
    body: list[Statement]


def gates_from_qasm(text: str, inputs: Sequence[str] | None = None) -> tuple[int, list[Gate]]:
    """Return the qubits and gates for `Circuit.from_qasm`.

    Args:
        text: Text of a program in OpenQASM 2 or 3.
        inputs: Names of program inputs that are data, in order; by default x0, x1, ….

    Raises:
        Refusal: If the text is no such program, or a statement cannot be expressed. The message
            names the line.
    """
    if isinstance(text, str) and len(text) > MOST_CHARACTERS:
        raise Refusal(
            f"A program must have at most {MOST_CHARACTERS:,} characters, got {len(text):,}."
        )
    if not isinstance(text, str) or not _OPENING.search(_uncommented(text)):
        raise Refusal(
            f"The text must begin with OPENQASM 2.0 or OPENQASM 3.0, got {shortened(repr(text))}. "
            "Pass the text of a file, not its name."
        )
    return _Program(inputs).run(text)


def _uncommented(text: str) -> str:
    """Replace comments by spaces, so that lines keep their numbers."""
    return re.sub(r"//[^\n]*|/\*.*?(?:\*/|\Z)", _blank, text, flags=re.DOTALL)


def _blank(comment: re.Match) -> str:
    text = comment.group()
    if text.startswith("/*") and (len(text) < 4 or not text.endswith("*/")):
        raise Refusal(f"A comment must end with */, got {shortened(text)}.")
    return re.sub(r"[^\n]", " ", text)


def _statements(text: str) -> list[Statement]:
    """Split a program into statements and their blocks."""
    root: list[Statement] = []
    stack, begin, line, in_set = [root], 0, 1, False
    for match in re.finditer(r'"[^"\n]*"|\{|\}|;', text):
        token = match.group()
        if token.startswith('"'):
            continue
        part = _part(text, begin, match.start(), line)
        if token == "{" and re.search(r"\bin$", part.rstrip()[-3:]):  # values, not a block
            in_set = True
            continue
        if token == "}" and in_set:
            in_set = False
            continue
        blank = part[: len(part) - len(part.lstrip())]
        part_line, line = line + blank.count("\n"), line + part.count("\n")
        begin, words = match.end(), " ".join(part.split())
        if token == "{":
            if len(stack) > DEEPEST:
                raise Refusal(f"Blocks must nest at most {DEEPEST} deep, got more in line {line}.")
            block: list[Statement] = []
            stack[-1].append(Statement(words, block, part_line))
            stack.append(block)
        elif token == "}":
            if words or len(stack) == 1:
                raise Refusal(f"Each }} must close a block, got one in line {line}.")
            stack.pop()
        elif words:
            stack[-1].append(Statement(words, None, part_line))
    if text[begin:].strip() or len(stack) > 1:
        raise Refusal(
            f"Each statement must end with ; or }}, got {shortened(text[begin:].strip())}."
        )
    return root


def _part(text: str, begin: int, end: int, line: int) -> str:
    """Return the text of a statement, which is limited."""
    if end - begin > MOST_IN_STATEMENT:
        raise Refusal(
            f"A statement must have at most {MOST_IN_STATEMENT:,} characters, "
            f"got {end - begin:,} from line {line}."
        )
    return text[begin:end]


class _Program:
    """State of a program while its statements are read."""

    def __init__(self, inputs: Sequence[str] | None):
        self.inputs = None if inputs is None else list(inputs)
        self.names: MutableMapping[str, Polynomial] = {}
        self.registers: dict[str, list[int]] = {}
        self.classical: set[str] = set()
        self.definitions: dict[str, Definition] = {}
        self.gates = ProgramGates(0)
        self.budget = self.gates.budget
        self.n_params = 0

    def run(self, text: str) -> tuple[int, list[Gate]]:
        """Read all statements."""
        for statement in _statements(_uncommented(text)):
            self.read(statement)
        missing = [name for name in self.inputs or () if name not in self.names]
        if missing:
            raise Refusal(f"inputs must name inputs of the program, got {shortened(missing[0])}.")
        return self.gates.n_qubits, self.gates.gates

    def read(self, statement: Statement) -> None:
        """Read a statement; a refusal names its line."""
        try:
            self._read(statement)
        except Refusal as problem:
            message = str(problem)
            if message.startswith("Line "):
                raise
            raise Refusal(f"Line {statement.line}: {message}") from None

    def _read(self, statement: Statement) -> None:
        text = statement.text
        self.budget.spend_text(text)
        word = re.split(r"\W", text, maxsplit=1)[0]
        if word in _BRANCHES:
            raise Refusal(
                "The gates must not depend on measured values or data, "
                f"got {shortened(text)}. Write one circuit per branch."
            )
        if word in _FOREIGN:
            raise Refusal(f"A circuit must consist of gates, got the statement {shortened(text)}.")
        readers: dict[str, Callable[[Statement], None]] = {
            "OPENQASM": lambda _: None,
            "barrier": lambda _: None,
            "pragma": lambda _: None,
            "include": self._include,
            "gate": self._define,
            "for": self._repeat,
            "measure": self._measure,
            "input": self._input,
            "output": lambda _: None,
            **dict.fromkeys(("qreg", "creg", "qubit", "bit"), self._register),
        }
        if word in readers:
            readers[word](statement)
        elif match := _DECLARATION.fullmatch(text):
            self.names[match["name"]] = self._evaluated(match["value"], self.names)
        elif re.search(r"=\s*measure\b", text):
            self._measure(Statement(text[text.index("measure") :], None, statement.line))
        else:
            self._call(text, {}, self.names, 0)

    def _include(self, statement: Statement) -> None:
        name = statement.text.removeprefix("include").strip().strip('"')
        if name not in _LIBRARIES:
            raise Refusal(
                f"include must be {' or '.join(_LIBRARIES)}, got {shortened(name)}. "
                "Write its gates into the text."
            )

    def _input(self, statement: Statement) -> None:
        match = _INPUT.fullmatch(statement.text)
        if not match:
            raise Refusal(f"A program input must be a number, got {shortened(statement.text)}.")
        name = match["name"]
        index = re.fullmatch(r"x(\d{1,6})", name)
        if self.inputs is not None and name in self.inputs:
            self.names[name] = Polynomial.variable("input", self.inputs.index(name))
        elif self.inputs is None and index:
            self.names[name] = Polynomial.variable("input", int(index[1]))
        else:
            self.names[name] = Polynomial.variable("param", self.n_params)
            self.n_params += 1

    def _register(self, statement: Statement) -> None:
        match = _REGISTER.fullmatch(statement.text)
        if not match:
            raise Refusal(f"A register must have a name, got {shortened(statement.text)}.")
        size = int(self._number(match["size"] or match["length"] or "1"))
        name = match["name"] or match["label"]
        if (match["old"] or match["new"]) in ("creg", "bit"):
            self.classical.add(name)
            if value := match["value"]:
                if not value.startswith("measure"):
                    return
                self._measure(Statement(value, None, statement.line))
            return
        n_qubits = self.gates.n_qubits + size
        if not 1 <= size <= n_qubits <= MOST_QUBITS:
            raise Refusal(f"A program must have 1 to {MOST_QUBITS} qubits, got {n_qubits}.")
        self.registers[name] = list(range(self.gates.n_qubits, n_qubits))
        self.gates.n_qubits = n_qubits

    def _define(self, statement: Statement) -> None:
        match = re.fullmatch(r"gate\s+(\w+)\s*(?:\(([^)]*)\))?\s*(.*)", statement.text, re.DOTALL)
        if not match or statement.body is None:
            raise Refusal(f"A gate must have a name and a block, got {shortened(statement.text)}.")
        angles, qubits = (_names(match[i]) for i in (2, 3))
        self.definitions[match[1]] = Definition(angles, qubits, statement.body)

    def _repeat(self, statement: Statement) -> None:
        match = _FOR.fullmatch(statement.text)
        if not match or statement.body is None:
            raise Refusal(f"A loop must run over whole numbers, got {shortened(statement.text)}.")
        before = self.names
        for value in self._values(match["values"].strip()):
            self.budget.spend(1)
            self.names = ChainMap({match["name"]: Polynomial.const(value)}, before)
            for inner in statement.body:
                self.read(inner)
        self.names = before

    def _values(self, text: str) -> Iterator[int]:
        if text.startswith("{"):
            yield from (int(self._number(part)) for part in text.strip("{}").split(","))
            return
        numbers = [int(self._number(part)) for part in text.strip("[]").split(":")]
        if len(numbers) not in (2, 3) or (len(numbers) == 3 and not numbers[1]):
            raise Refusal(f"A loop must run over a range such as [0:3], got {shortened(text)}.")
        first, step, last = numbers[0], numbers[1] if len(numbers) == 3 else 1, numbers[-1]
        if abs(last - first) > MOST_GATES:
            raise Refusal(f"A loop must have at most {MOST_GATES:,} steps, got {shortened(text)}.")
        yield from range(first, last + (1 if step > 0 else -1), step)

    def _evaluated(self, text: str, names: Mapping[str, Polynomial]) -> Polynomial:
        return evaluate_expression(text, names, self.budget)

    def _number(self, text: str) -> float:
        number = self._evaluated(text, self.names).constant
        if number is None or not math.isfinite(number) or number != int(number):
            raise Refusal(f"The number must be whole and constant, got {shortened(text)}.")
        return number

    def _measure(self, statement: Statement) -> None:
        text = statement.text.removeprefix("measure").split("->")[0].strip()
        for wire in self._wires(text, {}):
            self.gates.measure(wire)

    def _wires(self, text: str, local: Mapping[str, int]) -> list[int]:
        """Return the wires of one operand: a qubit, or all of a register."""
        match = re.fullmatch(r"(\w+)\s*(?:\[(.+)\])?", text.strip(), re.DOTALL)
        name = match[1] if match else ""
        if match and not match[2] and name in local:
            return [local[name]]
        if not match or name not in self.registers:
            raise Refusal(f"A qubit must be declared before its use, got {shortened(text)}.")
        wires = self.registers[name]
        if not match[2]:
            return wires
        if ":" in match[2]:
            indices = list(self._values(f"[{match[2]}]"))
            self.budget.spend(len(indices))
        else:
            indices = [int(self._number(match[2]))]
        if any(not -len(wires) <= index < len(wires) for index in indices):
            raise Refusal(f"{name} must have the qubit, got {shortened(text)} of {len(wires)}.")
        return [wires[index] for index in indices]

    def _call(
        self, text: str, local: Mapping[str, int], names: Mapping[str, Polynomial], depth: int
    ) -> None:
        """Apply a gate, once per qubit of a register."""
        match = _CALL.fullmatch(text)
        if not match:
            raise Refusal(f"A statement must apply a gate, got {shortened(text)}.")
        angles = [self._evaluated(part, names) for part in _split(match["angles"] or "")]
        operands = [self._wires(part, local) for part in _split(match["qubits"])]
        lengths = {len(wires) for wires in operands if len(wires) > 1}
        if len(lengths) > 1:
            raise Refusal(f"Registers of one gate must have one length, got {shortened(text)}.")
        modifiers = [part.strip() for part in match["modifiers"].split("@")[:-1]]
        if len(modifiers) > DEEPEST:
            raise Refusal(f"A gate must have at most {DEEPEST} modifiers, got {len(modifiers)}.")
        for number in range(max(lengths, default=1)):
            wires = [each[number] if len(each) > 1 else each[0] for each in operands]
            self._apply(match["name"], wires, angles, modifiers, depth)

    def _apply(
        self,
        name: str,
        wires: list[int],
        angles: list[Polynomial],
        modifiers: list[str],
        depth: int,
    ) -> None:
        self.budget.spend(1 + len(wires) // 8)
        if depth > DEEPEST:
            raise Refusal(f"Gate definitions must nest at most {DEEPEST} deep, got more in {name}.")
        if modifiers:
            self._modified(name, wires, angles, modifiers, depth)
        elif name in self.definitions:
            definition = self.definitions[name]
            if (len(angles), len(wires)) != (len(definition.angles), len(definition.qubits)):
                raise Refusal(
                    f"{name} must have {len(definition.angles)} angles and "
                    f"{len(definition.qubits)} qubits, "
                    f"got {len(angles)} and {len(wires)}."
                )
            local = dict(zip(definition.qubits, wires, strict=True))
            of_angles = dict(zip(definition.angles, angles, strict=True))
            names = ChainMap(of_angles, self.names)
            for inner in definition.body:
                self.budget.spend_text(inner.text)
                if not inner.text.startswith("barrier"):
                    self._call(inner.text, local, names, depth + 1)
        elif not self.gates.add(name, wires, angles):
            raise Refusal(f"A gate must be defined before its use, got {shortened(name)}.")

    def _modified(
        self,
        name: str,
        wires: list[int],
        angles: list[Polynomial],
        modifiers: list[str],
        depth: int,
    ) -> None:
        """Apply a gate with the modifiers `inv`, `pow` or `ctrl`, the first outermost."""
        first, rest = modifiers[0], modifiers[1:]
        kind, _, number = first.removesuffix(")").partition("(")
        kind, number = kind.strip(), number.strip() or None
        if kind == "pow":
            times = int(self._number(number or "1"))
            for _ in range(min(abs(times), MOST_GATES + 1)):
                self._apply(name, wires, angles, ["inv", *rest] if times < 0 else rest, depth)
        elif kind == "inv":
            self._inverted(name, wires, angles, rest, depth)
        elif kind == "ctrl" and number in (None, "1") and name in _CONTROLLED and not rest:
            self._apply(_CONTROLLED[name], wires, angles, [], depth)
        elif kind == "ctrl" and rest == ["ctrl"] and name == "x":
            self._apply("ccx", wires, angles, [], depth)
        else:
            raise Refusal(
                f"A controlled gate must be one of {', '.join(_CONTROLLED)}, "
                f"got {shortened(' @ '.join([*modifiers, name]))}."
            )

    def _inverted(
        self, name: str, wires: list[int], angles: list[Polynomial], rest: list[str], depth: int
    ) -> None:
        if name in _SELF_INVERSE:
            self._apply(name, wires, angles, rest, depth)
        elif name in _INVERSE:
            self._apply(_INVERSE[name], wires, angles, rest, depth)
        elif name in _ONE_ANGLE:
            self._apply(name, wires, [-angle for angle in angles], rest, depth)
        elif name in ("u", "U", "u3") and len(angles) == 3:
            theta, phi, lam = angles
            self._apply(name, wires, [-theta, -lam, -phi], rest, depth)
        else:
            raise Refusal(
                f"The inverse of a gate must be written as gates, got inv @ {shortened(name)}."
            )


def _names(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _split(text: str) -> list[str]:
    """Split at commas outside of brackets."""
    parts, depth, begin = [], 0, 0
    for place, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append(text[begin:place])
            begin = place + 1
    return [part for part in (*parts, text[begin:]) if part.strip()]
