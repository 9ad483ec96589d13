"""Import of OpenQASM 2 and 3 programs, by the syntax tree of the package openqasm3.

The text is limited before it is parsed, since the parser has no limits. `qasm_program` reads the
tree.
"""

import contextlib
import io
import re
from collections.abc import Sequence

import openqasm3
from openqasm3.parser import QASM3ParsingError

from qtha_lab.circuits.gates import Gate
from qtha_lab.circuits.imports.qasm_expression import (
    MOST_CHARACTERS,
    MOST_IN_STATEMENT,
    MOST_NESTED,
    MOST_OPERATIONS,
)
from qtha_lab.circuits.imports.qasm_program import ProgramReader
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
