"""Imports of the names in a piece of Python, so that it runs when pasted."""

import ast
import builtins
from collections.abc import Mapping
from types import ModuleType
from typing import Any


def with_imports(code: str, scope: Mapping[str, Any]) -> str:
    """Return code below an import for each of its names that a module has.

    Names that the module lacks are data of the reader, and are left as they are.

    Args:
        code: Python code.
        scope: Global names of the module.

    Example:
        >>> print(with_imports("ast.dump(tree)", {"ast": ast, "__name__": "here"}))
        import ast
        <BLANKLINE>
        ast.dump(tree)
    """
    names = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)]
    own = {node.id for node in names if isinstance(node.ctx, ast.Store)} | vars(builtins).keys()
    used = {node.id for node in names} - own
    lines = [_import_of(name, scope[name], scope["__name__"]) for name in used & scope.keys()]
    gap = [] if code.startswith("from ") or not lines else [""]
    return "\n".join([*sorted(lines), *gap, code])


def _import_of(name: str, value: Any, here: str) -> str:
    if isinstance(value, ModuleType):
        package, _, own = value.__name__.rpartition(".")
    else:
        package = getattr(value, "__module__", here)
        own = getattr(value, "__name__", name)
    known = own if own == name else f"{own} as {name}"
    return f"from {package} import {known}" if package else f"import {known}"
