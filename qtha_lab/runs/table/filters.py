"""Filters of rows by an expression: `method = qtha and learning_rate >= 0.003 and tag:best`.

A parser turns the grammar into functions; no part of an expression is run as Python. 10,000 rows
take a few milliseconds, less than the import of a database.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import nearest

Row = dict[str, Any]
Test = Callable[[Row], bool]
ORDERS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
EQUAL = ("=", "==", "!=")
SHORT = {"tag": "tags"}
LONGEST, DEEPEST = 2000, 40
TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"]*"|'[^']*')|(?P<sign><=|>=|==|!=|[=<>:(),])|(?P<word>[^\s"'=<>!:(),]+))"""
)
GRAMMAR = "a filter reads like method = qtha and learning_rate >= 0.003 and tag:best"


class Token(NamedTuple):
    """A token of an expression, with the position of its first character.

    Its kind is "text" (in quotes), "sign", "word" or "end".
    """

    kind: str
    text: str
    place: int


def where(expression: str, names: Collection[str]) -> Test:
    """Return the test of a row that an expression describes.

    Args:
        expression: `column = value`, `!=`, `<`, `<=`, `>`, `>=`; `column in (a, b)`; `column:word`,
            which tests for part of a text or a member of a list; a column alone, which tests for a
            true value (`pinned`). These are joined by `and`, `or`, `not` and brackets. Values are
            numbers, words, or anything in quotes. `none` is a missing value, which is neither below
            nor above another. An empty expression accepts every row.
        names: The existing columns.

    Raises:
        Refusal: With the position, if the expression is invalid or names no column.

    Example:
        >>> test = where("r in (4, 8) and not eval_loss > 4", ["r", "eval_loss"])
        >>> test({"r": 4, "eval_loss": 3.9}), test({"r": 2, "eval_loss": 3.9})
        (True, False)
        >>> where("r >> 2", ["r"])
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: character 4 of the filter is '>', where a value should be: a
            filter reads like method = qtha and learning_rate >= 0.003 and tag:best
    """
    if len(expression) > LONGEST:
        raise Refusal(f"a filter has at most {LONGEST:,} characters, not {len(expression):,}")
    tokens = _tokens(expression)
    return (lambda row: True) if len(tokens) == 1 else _Reader(tokens, names).whole()


def _tokens(expression: str) -> list[Token]:
    tokens, place = [], 0
    while expression[place:].strip():
        match = TOKEN.match(expression, place)
        if match is None:
            place += len(expression[place:]) - len(expression[place:].lstrip())
            raise _wrong(Token("sign", expression[place], place), "which begins nothing")
        kind = match.lastgroup or ""
        text = match[kind]
        tokens.append(Token(kind, text[1:-1] if kind == "text" else text, match.start(kind)))
        place = match.end()
    return [*tokens, Token("end", "", len(expression))]


class _Reader:
    """A recursive-descent parser: `or` of `and` of `not` of tests."""

    def __init__(self, tokens: list[Token], names: Collection[str]):
        self.tokens, self.names, self.depth = tokens, names, 0

    def whole(self) -> Test:
        test = self._any()
        if self.tokens[0].kind != "end":
            raise _wrong(self.tokens[0], "where and, or or the end should be")
        return test

    def _any(self) -> Test:
        tests = [self._all()]
        while self._take("or"):
            tests.append(self._all())
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)

    def _all(self) -> Test:
        tests = [self._not()]
        while self._take("and"):
            tests.append(self._not())
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def _not(self) -> Test:
        self.depth += 1
        if self.depth > DEEPEST:
            raise _wrong(self.tokens[0], f"which stands in more than {DEEPEST} brackets")
        if self._take("not"):
            test = _opposite(self._not())
        elif self._take("("):
            test = self._any()
            self._expect(")")
        else:
            test = self._test()
        self.depth -= 1
        return test

    def _test(self) -> Test:
        column = self._column()
        sign = self.tokens[0].text if self.tokens[0].kind == "sign" else ""
        if sign in EQUAL:
            del self.tokens[0]
            same = _same(column, self._value())
            return _opposite(same) if sign == "!=" else same
        if sign in ORDERS:
            del self.tokens[0]
            return _ordered(column, ORDERS[sign], self._value())
        if self._take(":"):
            return _holding(column, self._value().text)
        negated = self._is_word("not") and self._is_word("in", 1)
        if negated:
            del self.tokens[0]
        if self._take("in"):
            tests = [_same(column, value) for value in self._values()]
            return lambda row: any(test(row) for test in tests) != negated
        return lambda row: bool(row.get(column))

    def _column(self) -> str:
        token = self.tokens.pop(0)
        name = SHORT.get(token.text, token.text)
        if token.kind != "word":
            raise _wrong(token, "where a column should be")
        if name not in self.names:
            close = nearest(name, self.names)
            hint = f"did you mean {close}?" if close else GRAMMAR
            raise _wrong(token, f"and there is no such column: {hint}", hint="")
        return name

    def _value(self) -> Token:
        token = self.tokens.pop(0)
        if token.kind not in ("word", "text"):
            raise _wrong(token, "where a value should be")
        return token

    def _values(self) -> list[Token]:
        self._expect("(")
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        self._expect(")")
        return values

    def _is_word(self, text: str, ahead: int = 0) -> bool:
        token = self.tokens[min(ahead, len(self.tokens) - 1)]
        return token.kind in ("word", "sign") and token.text.lower() == text

    def _take(self, text: str) -> bool:
        if self._is_word(text):
            del self.tokens[0]
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise _wrong(self.tokens[0], f"where {text!r} should be")


def _opposite(test: Test) -> Test:
    return lambda row: not test(row)


def _wrong(token: Token, why: str, hint: str = GRAMMAR) -> Refusal:
    subject = f"character {token.place + 1} of the filter is {token.text!r:.60}"
    if token.kind == "end":
        subject = f"the filter ends at character {token.place + 1}"
    return Refusal(f"{subject}, {why}{': ' if hint else ''}{hint}")


def _same(column: str, token: Token) -> Test:
    """Return a test for equality: numeric for numbers, by text for other values."""
    text, number = token.text, _number(token)
    if token.kind == "word" and text.lower() in ("none", "null"):
        return lambda row: row.get(column) in (None, "", [])
    if token.kind == "word" and text.lower() in ("true", "false"):
        flag = text.lower() == "true"
        return lambda row: row.get(column) is flag or str(row.get(column)) == text
    return lambda row: _equals(row.get(column), text, number)


def _equals(value: Any, text: str, number: float | None) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value == number
    return value is not None and _written(value) == text


def _ordered(column: str, order: Callable[[Any, Any], bool], token: Token) -> Test:
    """Return a test for an order: numbers compare with numbers, texts with texts."""
    text, number = token.text, _number(token)

    def test(row: Row) -> bool:
        value = row.get(column)
        if isinstance(value, int | float):
            return number is not None and order(value, number)
        return isinstance(value, str) and value != "" and order(value, text)

    return test


def _holding(column: str, text: str) -> Test:
    """Return a test for a list member or part of a text, ignoring case."""

    def test(row: Row) -> bool:
        value = row.get(column)
        if isinstance(value, list | tuple):
            return any(text.lower() == _written(part).lower() for part in value)
        return value is not None and text.lower() in _written(value).lower()

    return test


def _number(token: Token) -> float | None:
    try:
        return float(token.text)
    except ValueError:
        return None


def _written(value: Any) -> str:
    return ",".join(map(_written, value)) if isinstance(value, list | tuple) else str(value)
