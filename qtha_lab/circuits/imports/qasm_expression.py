"""Arithmetic expressions of OpenQASM as polynomials of the program's inputs."""

import ast
import math
from collections.abc import Mapping

from qtha_lab.circuits.imports.budget import HIGHEST_DEGREE, ReadingBudget
from qtha_lab.circuits.polynomial import Polynomial
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened

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


def evaluate_expression(
    text: str, names: Mapping[str, Polynomial], budget: ReadingBudget | None = None
) -> Polynomial:
    """Return the value of an expression.

    Args:
        text: Expression, such as "2*x0 + pi/2".
        names: Values of the names that it may use.
        budget: Steps that are left; None for an expression of its own.

    Raises:
        Refusal: If it is no expression, or is not a polynomial of low degree.

    Example:
        >>> x = Polynomial.variable("input", 0)
        >>> [str(angle) for angle in evaluate_expression("-(2*x0 + pi)/4", {"x0": x}).angles()]
        ['-0.5·x0-π/4']
    """
    try:
        tree = ast.parse(text.strip().replace("^", "**"), mode="eval")
        return _Evaluation(names, budget or ReadingBudget()).value(tree.body)
    except (SyntaxError, ArithmeticError, ValueError, RecursionError, MemoryError) as problem:
        if isinstance(problem, Refusal):
            raise
        raise Refusal(f"An angle must be an expression, got {shortened(text.strip())}.") from None


class _Evaluation:
    """Evaluation of one expression with the values of its names, within a budget."""

    def __init__(self, names: Mapping[str, Polynomial], budget: ReadingBudget):
        self.names, self.budget = names, budget

    def value(self, node: ast.expr) -> Polynomial:
        """Return the value of a node."""
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return Polynomial.const(float(node.value))
        if isinstance(node, ast.Name):
            return self._named(node.id)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
            value = self.value(node.operand)
            return -value if isinstance(node.op, ast.USub) else value
        if isinstance(node, ast.BinOp):
            return self._operation(node, self.value(node.left), self.value(node.right))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
            function, number = _FUNCTIONS.get(node.func.id), self.value(node.args[0]).constant
            if function is not None and number is not None:
                return Polynomial.const(function(number))
        raise _refused(node)

    def _named(self, name: str) -> Polynomial:
        if name in self.names:
            return self.names[name]
        if name in _CONSTANTS:
            return Polynomial.const(_CONSTANTS[name])
        raise Refusal(f"A name must be declared before its use, got {shortened(name)}.")

    def _operation(self, node: ast.BinOp, left: Polynomial, right: Polynomial) -> Polynomial:
        number = right.constant
        if isinstance(node.op, ast.Add):
            return self.budget.plus(left, right)
        if isinstance(node.op, ast.Sub):
            return self.budget.plus(left, -right)
        if isinstance(node.op, ast.Mult):
            return self.budget.times(left, right)
        if isinstance(node.op, ast.Div) and number is not None:
            base = left.constant
            return Polynomial.const(base / number) if base is not None else left * (1.0 / number)
        if isinstance(node.op, ast.Pow) and number is not None:
            return self._power(node, left, number)
        raise _refused(node)

    def _power(self, node: ast.BinOp, left: Polynomial, number: float) -> Polynomial:
        if (base := left.constant) is not None:
            power = base**number
            if isinstance(power, complex):
                raise _refused(node)
            return Polynomial.const(power)
        if number not in range(HIGHEST_DEGREE + 1):
            raise _refused(node)
        result = Polynomial.const(1.0)
        for _ in range(int(number)):
            result = self.budget.times(result, left)
        return result


def _refused(node: ast.expr) -> Refusal:
    text = shortened(ast.unparse(node).replace("**", "^"))
    return Refusal(f"An angle must be a sum of products of inputs and of parameters, got {text}.")
