"""Imports of a lesson's graders and solutions, done before the clock of an answer starts."""

import ast
import functools
import importlib
import inspect
import logging
import sys

log = logging.getLogger(__name__)


@functools.cache
def import_for_module(name: str) -> None:
    """Import everything that the functions of a module import.

    Args:
        name: Imported module, such as `qtha_lab.lessons.lesson_01`.
    """
    module = sys.modules.get(name)
    if module is not None and hasattr(module, "__file__"):
        import_for_code(inspect.getsource(module))


@functools.cache
def import_for_code(code: str) -> None:
    """Import everything that code imports; a missing package is left to the code."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            _import(name)


def _import(name: str) -> None:
    parent, _, attribute = name.rpartition(".")
    if parent in sys.modules and hasattr(sys.modules[parent], attribute):
        return
    try:
        importlib.import_module(name)
    except Exception as missing:  # the code that needs it reports it
        log.debug("%s is not imported beforehand: %s", name, missing)
