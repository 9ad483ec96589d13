"""Which rows a typed expression means: `method == "qtha" and eval_loss < 4.2 and r in [4, 8]`.

The grammar is a part of Python's; nothing of it is run as Python.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable
from typing import Any

from qtha_lab.catalog.rows import Row, check_column
from qtha_lab.errors import Refusal

Value = Callable[[Row], Any]
ORDER = {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}
LONGEST = 2000


def where(expression: str, names: Iterable[str]) -> Callable[[Row], bool]:
    """The test that an expression puts to a row.

    A value that a row does not have is None, which is neither below nor above anything.

    Args:
        expression: Comparisons of columns with values (`==`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `not in`),
            joined by `and`, `or`, `not` and brackets; empty takes every row.
        names: The columns that there are.

    Raises:
        Refusal: If it cannot be read, names no column or does something else.

    Example:
        >>> test = where("r in [4, 8] and not eval_loss > 4", ["r", "eval_loss"])
        >>> test({"r": 4, "eval_loss": 3.9}), test({"r": 2, "eval_loss": 3.9})
        (True, False)
    """
    if not expression.strip():
        return lambda row: True
    if len(expression) > LONGEST:
        raise Refusal(f"a filter may have {LONGEST} characters, not {len(expression)}")
    try:
        tree = ast.parse(expression.strip(), mode="eval")
        value = _value(tree.body, list(names))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise Refusal(
            f'a filter reads like eval_loss < 4 and method == "qtha", not {expression!r:.80}'
        ) from None
    return lambda row: bool(value(row))


def _value(node: ast.expr, names: list[str]) -> Value:
    match node:
        case ast.Constant(value=None | bool() | int() | float() | str() as constant):
            return lambda row: constant
        case ast.Name(id=name):
            return _column(name, names)
        case ast.Attribute(value=ast.Name(id="method"), attr=name):
            return _column(f"method.{name}", names)
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            values = [_value(part, names) for part in parts]
            return lambda row: [value(row) for value in values]
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            value = _value(inner, names)
            return lambda row: not value(row)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return lambda row: -number
        case ast.BoolOp(op=op, values=parts):
            values, join = [_value(part, names) for part in parts], all if isinstance(op, ast.And) else any
            return lambda row: join(value(row) for value in values)
        case ast.Compare(left=left, ops=ops, comparators=others):
            values = [_value(part, names) for part in (left, *others)]
            tests = [_test(op) for op in ops]
            return lambda row: _chain([value(row) for value in values], tests)
    raise Refusal(f"a filter compares columns with values: {ast.unparse(node)!r:.60} is neither")


def _column(name: str, names: list[str]) -> Value:
    try:
        check_column(name, names)
    except Refusal as refused:
        raise Refusal(f'{refused}. Text stands in quotes: "{name}"') from None
    return lambda row: row.get(name)


def _chain(values: list[Any], tests: list[Callable[[Any, Any], bool]]) -> bool:
    return all(test(a, b) for test, a, b in zip(tests, values, values[1:], strict=False))


def _test(op: ast.cmpop) -> Callable[[Any, Any], bool]:
    if type(op) in ORDER:
        return lambda a, b: _ordered(ORDER[type(op)], a, b)
    match op:
        case ast.Eq():
            return operator.eq
        case ast.NotEq():
            return operator.ne
        case ast.In():
            return _within
        case ast.NotIn():
            return lambda a, b: not _within(a, b)
    raise Refusal("a filter compares by ==, !=, <, <=, >, >=, in and not in")


def _ordered(test: Callable[[Any, Any], bool], a: Any, b: Any) -> bool:
    if a is None or b is None:
        return False
    if isinstance(a, str) != isinstance(b, str) or isinstance(a, list) or isinstance(b, list):
        raise Refusal(f"{a!r:.40} and {b!r:.40} have no order: compare numbers with numbers, text with text")
    return test(a, b)


def _within(a: Any, b: Any) -> bool:
    """In a list, or as a part of a text."""
    if isinstance(b, str):
        return isinstance(a, str) and a in b
    return isinstance(b, list) and a in b
