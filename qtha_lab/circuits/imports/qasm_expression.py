"""Arithmetic expressions of OpenQASM as polynomials of the program's inputs.

The text is limited before it is parsed; statements, gate applications and terms while it is read.
"""

import logging
import math
from collections.abc import Mapping

import openqasm3
from openqasm3 import ast

from qtha_lab.circuits.polynomial import Polynomial
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened

MOST_CHARACTERS = 1_000_000  # of a program; the parser reads some 10,000 per second
MOST_IN_STATEMENT = 20_000  # characters
MOST_OPERATIONS = 300  # of the expressions in a statement; the parser recurses into each
MOST_STEPS = 500_000
MOST_TERMS = 2_000  # of one angle
HIGHEST_DEGREE = 8
MOST_NESTED = 100  # blocks and brackets
DEEPEST = 30  # nested gate definitions and modifiers
NODES_PER_STEP = 50
TERMS_PER_STEP = 10


class ReadingBudget:
    """Steps that are left to read a program: statements, gate applications and terms."""

    def __init__(self) -> None:
        self.left = MOST_STEPS
        self._nodes = 0

    def spend(self, steps: int) -> None:
        """Take steps off.

        Raises:
            Refusal: If there are too few left.
        """
        self.left -= steps
        if self.left < 0:
            raise Refusal(
                f"A program must take at most {MOST_STEPS:,} steps to read, got more. "
                "Write fewer loops, gate definitions and terms."
            )

    def spend_node(self) -> None:
        """Take the steps of evaluating one node of an expression off."""
        self._nodes += 1
        if self._nodes % NODES_PER_STEP == 0:
            self.spend(1)

    def times(self, left: Polynomial, right: Polynomial) -> Polynomial:
        """Return a product of limited degree and number of terms.

        Raises:
            Refusal: If it has more terms or a higher degree, or too few steps are left.
        """
        degree = left.degree + right.degree
        if degree > HIGHEST_DEGREE:
            raise Refusal(f"The degree of an angle must be at most {HIGHEST_DEGREE}, got {degree}.")
        self.spend(len(left.terms) * len(right.terms) // TERMS_PER_STEP)
        return self.limited(left * right)

    def plus(self, left: Polynomial, right: Polynomial) -> Polynomial:
        """Return a sum with a limited number of terms.

        Raises:
            Refusal: If it has more terms, or too few steps are left.
        """
        self.spend((len(left.terms) + len(right.terms)) // TERMS_PER_STEP)
        return self.limited(left + right)

    def limited(self, angle: Polynomial) -> Polynomial:
        """Return an angle.

        Raises:
            Refusal: If it has too many terms.
        """
        if len(angle.terms) > MOST_TERMS:
            raise Refusal(
                f"An angle must have at most {MOST_TERMS:,} terms, got {len(angle.terms):,}."
            )
        return angle


log = logging.getLogger(__name__)

_CONSTANTS = {
    "pi": math.pi,
    "π": math.pi,
    "tau": math.tau,
    "τ": math.tau,
    "euler": math.e,
    "ℇ": math.e,
}
_FUNCTIONS = {
    "sin": math.sin, "cos": math.cos, "tan": math.tan, "exp": math.exp, "ln": math.log,
    "log": math.log, "sqrt": math.sqrt, "arcsin": math.asin, "arccos": math.acos,
    "arctan": math.atan, "asin": math.asin, "acos": math.acos, "atan": math.atan,
}  # fmt: skip

Names = Mapping[str, Polynomial]


def text_of(node: ast.QASMNode) -> str:
    """Return the first line of a node as text for a message."""
    try:
        line = openqasm3.dumps(node).strip().partition("\n")[0]
    except ValueError as reason:  # Python writes no integer of more than 4,300 digits
        log.debug("%s", reason)
        return type(node).__name__
    return shortened(line.rstrip(" ;{"))


def value_of(node: ast.Expression, names: Names, budget: ReadingBudget) -> Polynomial:
    """Return the value of an expression.

    Args:
        node: Expression.
        names: Values of the names that it may use.
        budget: Steps that are left.

    Raises:
        Refusal: If it has no finite value, or is not a polynomial of low degree.
    """
    try:
        return _value(node, names, budget)
    except (ArithmeticError, ValueError) as problem:
        if isinstance(problem, Refusal):
            raise
        raise Refusal(f"An angle must be an expression, got {text_of(node)}.") from None


def _value(node: ast.Expression, names: Names, budget: ReadingBudget) -> Polynomial:
    budget.spend_node()
    match node:
        case ast.IntegerLiteral(number) | ast.FloatLiteral(number):
            return Polynomial.const(float(number))
        case ast.Identifier(name):
            return _named(name, names)
        case ast.BinaryExpression(op, left, right):
            operands = _value(left, names, budget), _value(right, names, budget)
            result = _operation(op.name, *operands, budget)
        case ast.UnaryExpression(op, inner) if op.name == "-":
            result = -_value(inner, names, budget)
        case ast.FunctionCall(ast.Identifier(name), [argument]) if name in _FUNCTIONS:
            number = _value(argument, names, budget).constant
            result = None if number is None else Polynomial.const(_FUNCTIONS[name](number))
        case _:
            result = None
    if result is None:
        raise Refusal(
            "An angle must be a sum of products of inputs and of parameters, "
            f"got {text_of(node).replace('**', '^')}."
        )
    return result


def _named(name: str, names: Names) -> Polynomial:
    if name in names:
        return names[name]
    if name in _CONSTANTS:
        return Polynomial.const(_CONSTANTS[name])
    raise Refusal(f"A name must be declared before its use, got {shortened(name)}.")


def _operation(
    op: str, left: Polynomial, right: Polynomial, budget: ReadingBudget
) -> Polynomial | None:
    """Return the value of an operation; None if it is no polynomial."""
    if op in ("+", "-"):
        return budget.plus(left, right if op == "+" else -right)
    if op == "*":
        return budget.times(left, right)
    number = right.constant
    if op == "/" and number is not None:
        base = left.constant
        return Polynomial.const(base / number) if base is not None else left * (1.0 / number)
    return _power(left, number, budget) if op == "**" and number is not None else None


def _power(left: Polynomial, number: float, budget: ReadingBudget) -> Polynomial | None:
    if (base := left.constant) is not None:
        power = base**number
        return None if isinstance(power, complex) else Polynomial.const(power)
    if number not in range(HIGHEST_DEGREE + 1):
        return None
    result = Polynomial.const(1.0)
    for _ in range(int(number)):
        result = budget.times(result, left)
    return result


def integer_of(node: ast.Expression, names: Names, budget: ReadingBudget) -> int:
    """Return the value of an expression that must be a constant whole number.

    Args:
        node: Expression.
        names: Values of the names that it may use.
        budget: Steps left.
    """
    number = value_of(node, names, budget).constant
    if number is None or not math.isfinite(number) or number != int(number):
        raise Refusal(f"The number must be whole and constant, got {text_of(node)}.")
    return int(number)
