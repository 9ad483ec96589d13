"""Source code of an answer, complete enough for a file.

Functions and classes of a notebook are copied with the functions, constants and imports that they
name. Other objects, such as loaded models, have no source.
"""

import ast
import builtins
import linecache
import sys
import types
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MOST_ENTRIES = 256  # of an array that is written out


def source_of(name: str, value: Any) -> str | None:
    """Return Python code that assigns a value to a name, or None.

    Args:
        name: Name that the code binds.
        value: Number, string, container, small array, function or class.

    Example:
        >>> source_of("largest_rank", 10)
        'largest_rank = 10'
    """
    sources = _Sources()
    if not sources.add(name, value):
        return None
    return "\n\n".join(["\n".join(sorted(sources.imports)), *sources.blocks]).strip()


def run_with_source(code: str, names: dict[str, Any]) -> None:
    """Run code whose functions and classes keep their source, as those of a cell do.

    Args:
        code: Python code.
        names: Its globals, which it fills.

    Example:
        >>> names = {}
        >>> run_with_source("def double(x):\\n    return 2 * x", names)
        >>> source_of("double", names["double"])
        'def double(x):\\n    return 2 * x'
    """
    file = f"<code {hash(code):x}>"
    linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
    exec(compile(code, file, "exec"), names)


@dataclass
class _Sources:
    """Imports and definitions found so far."""

    imports: set[str] = field(default_factory=set)
    blocks: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def add(self, name: str, value: Any) -> bool:
        """Add code for a name; return False if there is none."""
        if name in self.names:
            return True
        self.names.add(name)
        ways = (self._add_import, self._add_literal, self._add_definition)
        return any(way(name, value) for way in ways)

    def _add_import(self, name: str, value: Any) -> bool:
        if isinstance(value, types.ModuleType):
            alias = "" if value.__name__ == name else f" as {name}"
            self.imports.add(f"import {value.__name__}{alias}")
            return True
        module, title = getattr(value, "__module__", None), getattr(value, "__name__", None)
        if not isinstance(module, str) or not isinstance(title, str) or module == "__main__":
            return False
        if getattr(sys.modules.get(module), title, None) is not value:
            return False
        alias = "" if title == name else f" as {name}"
        self.imports.add(f"from {module} import {title}{alias}")
        return True

    def _add_literal(self, name: str, value: Any) -> bool:
        plain = _plain(value)
        try:
            if not _same(ast.literal_eval(repr(plain)), plain):
                return False
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return False
        self.blocks.append(f"{name} = {plain!r}")
        return True

    def _add_definition(self, name: str, value: Any) -> bool:
        statement = _statement(value)
        if statement is None:
            return False
        bound, text, scope = statement
        for used in sorted(_needed(text) - {bound, name}):
            if used in scope:
                self.add(used, scope[used])
        self.blocks.append(text)
        if bound != name:
            self.blocks.append(f"{name} = {bound}")
        return True


def _plain(value: Any) -> Any:
    """Convert arrays and NumPy numbers to plain numbers and lists."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist() if value.size <= MOST_ENTRIES else value
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value)) if type(value) in (list, tuple) else value
    return value


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _statement(value: Any) -> tuple[str, str, dict[str, Any]] | None:
    """Return name, text and globals of the statement that made a value."""
    function = _function_of(value)
    if function is None:
        return None
    lines = linecache.getlines(function.__code__.co_filename)
    try:
        module = ast.parse("".join(lines))
    except SyntaxError:  # a cell with magic commands
        return None
    line = function.__code__.co_firstlineno
    for node in module.body:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        if first <= line <= (node.end_lineno or line):
            bound = _bound_name(node)
            text = "".join(lines[first - 1 : node.end_lineno]).rstrip()
            return (bound, text, function.__globals__) if bound else None
    return None


def _function_of(value: Any) -> types.FunctionType | None:
    """Return a function whose code lies where a function or class is defined."""
    if isinstance(value, types.FunctionType):
        return value
    if isinstance(value, type):
        methods = (vars(value).get(name) for name in vars(value))
        return next((m for m in methods if isinstance(m, types.FunctionType)), None)
    return None


def _bound_name(node: ast.stmt) -> str | None:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return node.name
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return None


def _needed(text: str) -> set[str]:
    """Return the names that code reads, without those of Python itself."""
    names = {
        node.id
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    return names - set(dir(builtins))
