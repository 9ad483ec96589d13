"""Filters of rows by a Python expression: `method == qtha and learning_rate >= 0.003`.

The syntax tree may contain comparisons of columns with values, joined by `and`, `or` and `not`. It
becomes functions; no part of an expression is run as Python.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Collection
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.runs.table.columns import check_column

Row = dict[str, Any]
Test = Callable[[Row], bool]
ORDERS = {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}
FLIPPED = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}
WORDS = {"none": None, "null": None, "true": True, "false": False}
LONGEST = 2000
SINGLE_SIGN = re.compile(r"\"[^\"]*\"|'[^']*'|(?<![<>=!])=(?!=)")
EXAMPLE = (
    "Write for example: method == qtha and learning_rate >= 0.003 and best in tags. "
    "Text with other signs stands in quotes."
)


def where(expression: str, names: Collection[str]) -> Test:
    """Return the test of a row that an expression describes.

    Args:
        expression: `column == value` (also `=`), `!=`, `<`, `<=`, `>`, `>=`; `column in (a, b)`;
            `word in column`, which tests for a list member or part of a text; a column alone, which
            tests for a true value (`pinned`). Values are numbers, words, or anything in quotes.
            `none` is a missing value, which is neither below nor above another. An empty expression
            accepts every row.
        names: The existing columns.

    Raises:
        Refusal: If the expression is invalid or names no column.

    Example:
        >>> test = where("r in (4, 8) and not eval_loss > 4", ["r", "eval_loss"])
        >>> test({"r": 4, "eval_loss": 3.9}), test({"r": 2, "eval_loss": 3.9})
        (True, False)
        >>> where("lr < 0.1", ["r", "learning_rate"])
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: column must be one of the table, got 'lr'. Did you mean 'r'?
    """
    if len(expression) > LONGEST:
        raise Refusal(
            f"A filter must have at most {LONGEST:,} characters, got {len(expression):,}."
        )
    if not expression.strip():
        return lambda row: True
    try:
        with warnings.catch_warnings(action="ignore"):  # of odd escapes in a text
            tree = ast.parse(SINGLE_SIGN.sub(_doubled, expression.strip()), mode="eval")
        return _test(tree.body, names)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, Refusal):
            raise
        raise _invalid(expression) from None


def _doubled(match: re.Match[str]) -> str:
    return "==" if match[0] == "=" else match[0]


def _invalid(part: str | ast.expr) -> Refusal:
    text = ast.unparse(part) if isinstance(part, ast.expr) else part
    return Refusal(f"A filter must consist of comparisons, got {text!r:.80}. {EXAMPLE}")


def _test(node: ast.expr, names: Collection[str]) -> Test:
    match node:
        case ast.BoolOp(op, values):
            tests = [_test(value, names) for value in values]
            join = all if isinstance(op, ast.And) else any
            return lambda row: join(test(row) for test in tests)
        case ast.UnaryOp(ast.Not(), operand):
            return _opposite(_test(operand, names))
        case ast.Compare(left, ops, comparators):
            sides = [left, *comparators]
            pairs = zip(sides, ops, comparators, strict=False)
            tests = [_comparison(a, type(op), b, names) for a, op, b in pairs]
            return lambda row: all(test(row) for test in tests)
        case ast.Name() | ast.Attribute():
            column = check_column(_name(node), names)
            return lambda row: bool(row.get(column))
    raise _invalid(node)


def _comparison(
    left: ast.expr, op: type[ast.cmpop], right: ast.expr, names: Collection[str]
) -> Test:
    if op is ast.NotIn:
        return _opposite(_comparison(left, ast.In, right, names))
    if op is ast.In and isinstance(right, ast.Tuple | ast.List | ast.Set):
        column = check_column(_name(left), names)
        tests = [_same(column, _value(element)) for element in right.elts]
        return lambda row: any(test(row) for test in tests)
    if op is ast.In and isinstance(right, ast.Name | ast.Attribute):
        return _holding(check_column(_name(right), names), _written(_value(left)))
    if not _is_column(left, names) and _is_column(right, names):
        left, op, right = right, FLIPPED.get(op, op), left
    column = check_column(_name(left), names)
    if op is ast.Eq:
        return _same(column, _value(right))
    if op is ast.NotEq:
        return _opposite(_same(column, _value(right)))
    if op not in ORDERS:
        raise _invalid(right)
    return _ordered(column, ORDERS[op], _value(right))


def _is_column(node: ast.expr, names: Collection[str]) -> bool:
    return isinstance(node, ast.Name | ast.Attribute) and _name(node) in names


def _name(node: ast.expr) -> str:
    """Return the name of a column, such as `r` or `method.r`."""
    if not isinstance(node, ast.Name | ast.Attribute):
        raise _invalid(node)
    return ast.unparse(node)


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value) if value is None or isinstance(value, str | int | float):
            return value
        case ast.UnaryOp(ast.USub(), ast.Constant(value)) if isinstance(value, int | float):
            return -value
        case ast.Name(word):
            return WORDS.get(word.lower(), word)
    raise _invalid(node)


def _opposite(test: Test) -> Test:
    return lambda row: not test(row)


def _same(column: str, value: Any) -> Test:
    """Return a test for equality: numeric for numbers, by text for other values."""
    if value is None:
        return lambda row: row.get(column) in (None, "", [])
    if isinstance(value, bool):
        return lambda row: row.get(column) is value or str(row.get(column)) == str(value)

    def test(row: Row) -> bool:
        held = row.get(column)
        if isinstance(held, int | float) and not isinstance(held, bool):
            return held == _number(value)
        return held is not None and _written(held) == _written(value)

    return test


def _ordered(column: str, order: Callable[[Any, Any], bool], value: Any) -> Test:
    """Return a test for an order: numbers compare with numbers, texts with texts."""

    def test(row: Row) -> bool:
        held, number = row.get(column), _number(value)
        if isinstance(held, int | float):
            return number is not None and order(held, number)
        return isinstance(held, str) and held != "" and order(held, _written(value))

    return test


def _holding(column: str, text: str) -> Test:
    """Return a test for a list member or part of a text, ignoring case."""

    def test(row: Row) -> bool:
        held = row.get(column)
        if isinstance(held, list | tuple):
            return any(text.lower() == _written(part).lower() for part in held)
        return held is not None and text.lower() in _written(held).lower()

    return test


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _written(value: Any) -> str:
    return ",".join(map(_written, value)) if isinstance(value, list | tuple) else str(value)
