"""Code with one small change of its syntax tree, and the change as a sentence.

A change is an exchange, an omission, or another operation, number, name or function.
"""

import ast
import itertools
import logging
from collections.abc import Iterator
from typing import Any

log = logging.getLogger(__name__)

LONGEST = 60  # characters of code in a sentence
Place = tuple[ast.AST, str, int | None]  # parent, field and place in a list
OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult)
COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
FAMILIES = (
    "sin cos tan tanh",
    "log log2 log10 sqrt exp square",
    "sum mean prod max min std var median",
    "stack cat column_stack hstack",
    "ceil floor round",
    "svdvals eigvalsh eigvals diagonal",
    "ppf cdf sf pdf",
    "Q R",
)
RELATED = {name: family.split() for family in FAMILIES for name in family.split()}
WRAPPED = {
    "{} is squared": "({})**2",
    "the square root of {} is taken": "({})**0.5",
    "the absolute value of {} is taken": "abs({})",
    "{} has the opposite sign": "-({})",
    "{} is doubled": "2*({})",
    "{} is halved": "({})/2",
    "{} is transposed": "({}).T",
    "{} is in reversed order": "({})[::-1]",
    "{} is converted from degrees to radians": "({})*0.017453292519943295",
    "{} is converted from radians to degrees": "({})*57.29577951308232",
}
MOST_WRAPPED = 12  # syntax nodes


def changed_solutions(code: str) -> Iterator[tuple[str, str]]:
    """Yield the code after each small change, and a sentence that states the change.

    Example:
        >>> dict(changed_solutions("def f(x):\\n    return x - 1"))["def f(x):\\n    return x + 1"]
        'a right answer has these values with `x + 1` in place of `x - 1`'
    """
    tree = ast.parse(code)
    alike: dict[str, list[Place]] = {}
    for place in _places(tree):
        alike.setdefault(ast.dump(_get(*place)), []).append(place)
    names = Names(tree)
    seen = {ast.unparse(tree)}
    for find in (_other_nodes, _wrapped):
        for places in alike.values():
            old = _get(*places[0])
            for new, words in find(places[0], old, names):
                for chosen in (*([place] for place in places), *([places] * (len(places) > 1))):
                    changed = _code_with(tree, chosen, new)
                    if changed and changed not in seen:
                        seen.add(changed)
                        yield changed, _sentence(words, old, new)


def _other_nodes(place: Place, old: Any, names: "Names") -> Iterator[tuple[Any, str]]:
    """Yield nodes in place of a node; words state what code does not show."""
    yield from ((new, "") for new in _other_code(old, names))
    variables = [ast.Name(name, ast.Load()) for name in names.variables]
    if isinstance(old, ast.Name) and isinstance(old.ctx, ast.Load) and old.id in names.variables:
        yield from ((name, "") for name in variables)
    if isinstance(place[0], ast.Return):
        parts = [node for node in ast.walk(old) if isinstance(node, ast.expr)]
        yield from ((node, "") for node in (*parts, *variables))
    elif place[2] is not None and not isinstance(old, (ast.FunctionDef, ast.Return)):
        yield None, "{} is left out"


def _other_code(old: Any, names: "Names") -> Iterator[Any]:
    if isinstance(old, (ast.BinOp, ast.Compare)):
        yield from _other_operations(old)
    elif isinstance(old, ast.UnaryOp):
        yield old.operand
    elif isinstance(old, ast.Constant):
        value = old.value
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        yield from map(ast.Constant, _other_numbers(value) if is_number else names.texts)
    elif isinstance(old, ast.Call):
        yield from old.args
        yield from (_with(old, args=args) for args in _exchanged(old.args))
        if isinstance(old.func, ast.Attribute):
            yield old.func.value
    elif isinstance(old, ast.Attribute):
        yield from (_with(old, attr=name) for name in RELATED.get(old.attr, ()))
        yield old.value
    elif isinstance(old, ast.Subscript):
        yield old.value
    elif isinstance(old, (ast.Tuple, ast.List)):
        yield from (_with(old, elts=order) for order in _exchanged(old.elts))
        for step in (-1, 1) if all(isinstance(_value(one), int) for one in old.elts) else ():
            yield _with(old, elts=[ast.Constant(_value(one) + step) for one in old.elts])


def _value(node: ast.AST) -> Any:
    return node.value if isinstance(node, ast.Constant) else None


def _other_operations(old: Any) -> Iterator[Any]:
    if isinstance(old, ast.Compare):
        yield from (_with(old, ops=[other()]) for other in COMPARISONS)
        return
    yield from (_with(old, op=other()) for other in OPERATORS)
    yield from (_with(old, left=old.right, right=old.left), old.left, old.right)
    if isinstance(old.left, ast.BinOp):  # another place of the brackets
        yield _with(old.left, right=_with(old, left=old.left.right))
    if isinstance(old.op, ast.MatMult):
        yield ast.parse(
            f"({ast.unparse(old.left)}).T @ ({ast.unparse(old.right)}).T", mode="eval"
        ).body


def _other_numbers(number: Any) -> Iterator[float]:
    yield from (2 * number, number / 2, -number, number**2)
    if isinstance(number, int):
        yield from (number + 1, number - 1, number + 2, number // 2)
    else:  # quantiles of one side and of both
        yield from (2 * number - 1, (1 + number) / 2, 1 - number)


def _exchanged(nodes: list) -> Iterator[list]:
    """Yield the orders with two nodes exchanged."""
    for i, j in itertools.combinations(range(len(nodes)), 2):
        order = list(nodes)
        order[i], order[j] = order[j], order[i]
        yield order


def _wrapped(place: Place, old: Any, names: "Names") -> Iterator[tuple[Any, str]]:
    is_value = isinstance(old, (ast.Name, ast.Attribute, ast.BinOp, ast.Call, ast.Subscript))
    is_read = is_value and place[1] not in ("func", "target", "targets")
    if is_read and len([*ast.walk(old)]) <= MOST_WRAPPED:
        for words, code in WRAPPED.items():
            yield ast.parse(code.format(ast.unparse(old)), mode="eval").body, words
        for name in names.variables:
            factor, words = ast.Name(name, ast.Load()), f"{{}} is multiplied by `{name}`"
            yield ast.BinOp(old, ast.Mult(), factor), words
            yield ast.BinOp(old, ast.Div(), factor), words.replace("multiplied", "divided")


def _with(node: Any, **fields: Any) -> Any:
    """Return a shallow copy of a node with other fields."""
    return type(node)(**{**dict(ast.iter_fields(node)), **fields})


class Names:
    """Variables and texts of code."""

    def __init__(self, tree: ast.AST):
        nodes = [*ast.walk(tree)]
        variables = {
            n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        }
        self.variables = sorted(variables | {n.arg for n in nodes if isinstance(n, ast.arg)})
        texts = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
        self.texts = sorted(texts)


def _sentence(words: str, old: Any, new: Any) -> str:
    if words:
        return f"a right answer has these values where {words.replace('{}', _shown(old))}"
    return f"a right answer has these values with {_shown(new)} in place of {_shown(old)}"


def _shown(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return f"`{text if len(text) <= LONGEST else text[: LONGEST - 1] + '…'}`"


def _places(tree: ast.AST) -> Iterator[Place]:
    """Yield the places of expressions, arguments and statements."""
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if isinstance(value, ast.expr):
                yield parent, field, None
            elif isinstance(value, list):
                kinds = (ast.expr, ast.stmt, ast.keyword)
                yield from ((parent, field, k) for k, v in enumerate(value) if isinstance(v, kinds))


def _get(parent: ast.AST, field: str, place: int | None) -> Any:
    return getattr(parent, field) if place is None else getattr(parent, field)[place]


def _code_with(tree: ast.AST, places: list[Place], new: ast.AST | None) -> str | None:
    """Return the code with a new node at places; None where invalid."""
    if new is None and any(place is None for _, _, place in places):
        return None
    olds = [_get(*place) for place in places]
    try:
        for place in reversed(places):
            _set(*place, *([new] if new else ()))
        code = ast.unparse(tree)
        compile(code, "<changed>", "exec")
        return code
    except (ValueError, SyntaxError) as reason:
        log.debug("a change is no code: %s", reason)
        return None
    finally:
        for (parent, field, place), old in zip(places, olds, strict=True):
            if new is None:
                getattr(parent, field).insert(place, old)
            else:
                _set(parent, field, place, old)


def _set(parent: ast.AST, field: str, place: int | None, *nodes: ast.AST) -> None:
    """Put one node at a place, or none."""
    if place is None:
        setattr(parent, field, nodes[0])
    else:
        getattr(parent, field)[place : place + 1] = nodes
