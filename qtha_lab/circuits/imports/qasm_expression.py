"""Arithmetic expressions of OpenQASM as polynomials of the program's inputs."""

import logging
import math
from collections.abc import Mapping

import openqasm3
from openqasm3 import ast

from qtha_lab.circuits.imports.budget import HIGHEST_DEGREE, ReadingBudget
from qtha_lab.circuits.polynomial import Polynomial
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened

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
