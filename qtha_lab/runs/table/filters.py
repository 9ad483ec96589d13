"""Filters of a frame by a Python expression: `method == qtha and learning_rate >= 0.003`.

The syntax tree may contain comparisons of columns with values, joined by `and`, `or` and `not`. It
becomes boolean columns; no part of an expression is run as Python.
`query` of pandas also evaluates attributes and calls.
"""

from __future__ import annotations

import ast
import functools
import operator
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtha_lab.core.errors import Refusal
from qtha_lab.runs.table.columns import check_column, known

if TYPE_CHECKING:
    import pandas

Test = Callable[[Any], bool]  # of one cell
ORDERS = {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}
FLIPPED = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}
WORDS = {"none": None, "null": None, "true": True, "false": False}
LONGEST = 2000
SINGLE_SIGN = re.compile(r"\"[^\"]*\"|'[^']*'|(?<![<>=!])=(?!=)")
EXAMPLE = (
    "Write for example: method == qtha and learning_rate >= 0.003 and best in tags. "
    "Text with other signs stands in quotes."
)


def where(expression: str, table: pandas.DataFrame) -> pandas.Series:
    """Return True for each row that an expression accepts.

    Args:
        expression: `column == value` (also `=`), `!=`, `<`, `<=`, `>`, `>=`; `column in (a, b)`;
            `word in column`, which tests for a list member or part of a text; a column alone, which
            tests for a true value (`pinned`). Values are numbers, words, or anything in quotes.
            `none` is a missing value, which is neither below nor above another. An empty expression
            accepts every row.
        table: Runs as returned by `qtha_lab.runs.table.frame.frame`.

    Raises:
        Refusal: If the expression is invalid or names no column.

    Example:
        >>> from qtha_lab.runs.table.frame import as_frame
        >>> table = as_frame([{"r": 4, "eval_loss": 3.9}, {"r": 2, "eval_loss": 3.9}])
        >>> list(where("r in (4, 8) and not eval_loss > 4", table))
        [True, False]
        >>> where("lr < 0.1", table)
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: column must be one of the table, got 'lr'. Did you mean 'r'?
    """
    import pandas

    if len(expression) > LONGEST:
        raise Refusal(
            f"A filter must have at most {LONGEST:,} characters, got {len(expression):,}."
        )
    if not expression.strip():
        return pandas.Series(True, table.index)
    try:
        with warnings.catch_warnings(action="ignore"):  # of odd escapes in a text
            tree = ast.parse(SINGLE_SIGN.sub(_doubled, expression.strip()), mode="eval")
        return _Filter(table).rows(tree.body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, Refusal):
            raise
        raise _invalid(expression) from None


def _doubled(match: re.Match[str]) -> str:
    return "==" if match[0] == "=" else match[0]


def _invalid(part: str | ast.expr) -> Refusal:
    text = ast.unparse(part) if isinstance(part, ast.expr) else part
    return Refusal(f"A filter must consist of comparisons, got {text!r:.80}. {EXAMPLE}")


class _Filter:
    """Boolean columns of the parts of an expression, for one frame."""

    def __init__(self, table: pandas.DataFrame) -> None:
        self.table, self.names = table, known(table)

    def rows(self, node: ast.expr) -> pandas.Series:
        """Return True for each row that a part accepts."""
        match node:
            case ast.BoolOp(op, values):
                join = operator.and_ if isinstance(op, ast.And) else operator.or_
                return functools.reduce(join, map(self.rows, values))
            case ast.UnaryOp(ast.Not(), operand):
                return ~self.rows(operand)
            case ast.Compare(left, ops, comparators):
                sides = [left, *comparators]
                pairs = zip(sides, ops, comparators, strict=False)
                return functools.reduce(operator.and_, (self._compared(*pair) for pair in pairs))
            case ast.Name() | ast.Attribute():
                return self._cells(node, bool)
        raise _invalid(node)

    def _compared(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> pandas.Series:
        match op:
            case ast.NotIn():
                return ~self._compared(left, ast.In(), right)
            case ast.NotEq():
                return ~self._compared(left, ast.Eq(), right)
            case ast.In() if isinstance(right, ast.Tuple | ast.List | ast.Set):
                tests = [_same(_value(element)) for element in right.elts]
                return self._cells(left, lambda held: any(test(held) for test in tests))
            case ast.In() if isinstance(right, ast.Name | ast.Attribute):
                return self._cells(right, _holding(_written(_value(left))))
        if not self._is_column(left) and self._is_column(right):
            left, op, right = right, FLIPPED.get(type(op), type(op))(), left
        if isinstance(op, ast.Eq):
            return self._cells(left, _same(_value(right)))
        if type(op) not in ORDERS:
            raise _invalid(right)
        return self._cells(left, _ordered(ORDERS[type(op)], _value(right)))

    def _cells(self, node: ast.expr, test: Test) -> pandas.Series:
        """Test every cell of a column."""
        return self.table[check_column(_name(node), self.names)].map(test).astype(bool)

    def _is_column(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name | ast.Attribute) and _name(node) in self.names


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


def _same(value: Any) -> Test:
    """Return a test for equality: numeric for numbers, by text for other values."""
    if value is None:
        return lambda held: held in (None, "", [])
    if isinstance(value, bool):
        return lambda held: held is value or str(held) == str(value)

    def test(held: Any) -> bool:
        if isinstance(held, int | float) and not isinstance(held, bool):
            return held == _number(value)
        return held is not None and _written(held) == _written(value)

    return test


def _ordered(order: Callable[[Any, Any], bool], value: Any) -> Test:
    """Return a test for an order: numbers compare with numbers, texts with texts."""
    number = _number(value)

    def test(held: Any) -> bool:
        if isinstance(held, int | float):
            return number is not None and order(held, number)
        return isinstance(held, str) and held != "" and order(held, _written(value))

    return test


def _holding(text: str) -> Test:
    """Return a test for a list member or part of a text, ignoring case."""

    def test(held: Any) -> bool:
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
