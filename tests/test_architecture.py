"""Imports go one way, and importing the package costs nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# From the ground up: a room may import from its own line or from a line above it, never below.
LAYERS = [
    "errors measures",
    "settings paths calls quiet moved one_thread faults",
    "registry plugin_loading",
    "circuits",
    "ansatze",
    "simulators",
    "mpo",
    "adapters",
    "models tasks",
    "analysis figures",
    "sharing",
    "experiment",
    "rundir",
    "cost training",
    "worker",
    "runs",
    "compare",
    "doctor exercises",
    "plugins contract",
    "cli",
    "widgets",
]
HEIGHT = {room: height for height, line in enumerate(LAYERS) for room in line.split()}
FILES = sorted([*(ROOT / "qtha_lab").rglob("*.py"), *(ROOT / "widgets").rglob("*.py")])


def room_of(path: Path) -> str:
    """The first name below the package: `qtha_lab/adapters/qtha.py` is in the room `adapters`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return "widgets" if parts[0] == "widgets" else parts[1]


def imported_rooms(path: Path):
    """Every room that a file imports from, also inside functions, with the line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = (
                [f"qtha_lab.{a.name}" for a in node.names]
                if node.module == "qtha_lab"
                else [node.module]
            )
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{path}:{node.lineno}: imports are written in full")
        else:
            continue
        for name in names:
            head, *rest = name.split(".")
            if head == "widgets":
                yield "widgets", node.lineno
            elif head == "qtha_lab" and rest and rest[0] in HEIGHT:
                yield rest[0], node.lineno


@pytest.mark.parametrize(
    "path",
    [p for p in FILES if p != ROOT / "qtha_lab" / "__init__.py"],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_imports_go_only_downward(path):
    own = room_of(path)
    assert own in HEIGHT, f"{own} has no place in LAYERS"
    for room, line in imported_rooms(path):
        assert HEIGHT[room] <= HEIGHT[own], f"{path}:{line} imports {room} from {own}"


def test_figures_take_numbers_and_import_no_torch():
    for path in (ROOT / "qtha_lab" / "figures").rglob("*.py"):
        source = path.read_text()
        assert "import torch" not in source
        rooms = {room for room, _ in imported_rooms(path)}
        assert rooms <= {"errors", "measures", "settings", "paths", "registry", "figures"}, (
            f"{path} imports {rooms}"
        )


def test_importing_the_package_loads_nothing_heavy():
    heavy = ["torch", "transformers", "peft", "pennylane", "numba", "plotly", "ipywidgets"]
    code = f"import sys, qtha_lab, qtha_lab.cli; print([m for m in {heavy} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_the_package_never_imports_the_widgets():
    for path in (ROOT / "qtha_lab").rglob("*.py"):
        assert "ipywidgets" not in path.read_text().replace('"ipywidgets"', ""), path


def test_what_test_modules_share_stands_in_support():
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            of_tests = [name for name in modules if name and name.startswith("test_")]
            assert not of_tests, (
                f"{path}:{node.lineno} imports {of_tests}: share it in tests/support"
            )
