"""Source files of the package: checks of each in one test, and their caches."""

import ast
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "qtha_lab").rglob("*.py"), *(ROOT / "widgets").rglob("*.py")])


@functools.cache
def parsed(path: Path) -> ast.Module:
    """Return the syntax tree of a file, parsed once per process."""
    return ast.parse(path.read_text(encoding="utf-8"))


def for_each_file(check: Callable[[Path], None]) -> Callable[[], None]:
    """Make a test that runs a check for every file, and fails with all its messages."""

    def test() -> None:
        failures = []
        for path in FILES:
            try:
                check(path)
            except AssertionError as failure:
                failures.append(f"{path.relative_to(ROOT)}: {failure}")
        assert not failures, "\n".join(failures)

    test.__name__, test.__doc__, test.__module__ = check.__name__, check.__doc__, check.__module__
    return test


ROOTS = ("qtha_lab", "widgets")
DECORATORS = ("lru_cache", "cache")
CONTAINERS = ("WeakKeyDictionary", "WeakValueDictionary", "defaultdict", "Counter", "OrderedDict")


def caches(checkout: Path) -> dict[str, str]:
    """Return the key of every cache, by `file:name`.

    The key of a function is its signature, that of a dictionary its annotation.
    """
    found = {}
    for root in ROOTS:
        for path in sorted((checkout / root).rglob("*.py")):
            place = path.relative_to(checkout).as_posix()
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for name, key in (*_functions(tree), *_assigned(tree), *_module_containers(tree)):
                found[f"{place}:{name}"] = key
    return found


def called(node: ast.AST) -> str:
    """Return the last name of a call or decorator, such as `lru_cache`."""
    while isinstance(node, (ast.Call, ast.Subscript)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _functions(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and any(
            called(decorator) in DECORATORS for decorator in node.decorator_list
        ):
            yield node.name, f"({ast.unparse(node.args)})"


def _assigned(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield names that hold `lru_cache(…)(function)` or an object of class `Cache`."""
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Assign, ast.AnnAssign)):
            continue
        if isinstance(node.value, ast.Call) and called(node.value) in (*DECORATORS, "Cache"):
            yield _target(node), ast.unparse(node.value)


def _module_containers(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield empty dictionaries of a module, which its functions fill."""
    for node in tree.body:
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
            continue
        value = node.value
        is_empty = isinstance(value, ast.Dict) and not value.keys
        if is_empty or (called(value) in (*CONTAINERS, "dict") and not getattr(value, "args", 1)):
            annotation = getattr(node, "annotation", None)
            yield _target(node), ast.unparse(annotation) if annotation else "dict"


def _target(node: ast.Assign | ast.AnnAssign) -> str:
    return ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
