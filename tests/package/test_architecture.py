"""Imports go one way, and importing the package costs nothing."""

import ast
import functools
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import LONGEST
from IPython.core.inputtransformer2 import TransformerManager
from support.notebooks import NOTEBOOKS
from support.source_files import FILES, for_each_file

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Experiment, Sweep
from qtha_lab.studies.launch import launch
from qtha_lab.studies.sweep import SweepStudy

ROOT = Path(__file__).parents[2]

# From the ground up: a room may import from its own line or from a line above it, never below.
LAYERS = [
    "core",
    "circuits tensor_networks",
    "simulators",
    "adapters",
    "models tasks",
    "analysis figures",
    "experiment",
    "training",
    "runs",
    "studies",
    "reproductions lessons testing plugins",
    "cli widgets __main__",
]
HEIGHT = {room: height for height, line in enumerate(LAYERS) for room in line.split()}


def room_of(path: Path) -> str:
    """The first name below the package: `qtha_lab/adapters/qtha.py` is in the room `adapters`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return "widgets" if parts[0] == "widgets" else parts[1]


def module_of(path: Path) -> str:
    """The address of a file.

    `qtha_lab.adapters.qtha`, and `qtha_lab.adapters` of an `__init__.py`.
    """
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


@functools.cache
def import_statements(path: Path, types: bool = True) -> tuple[tuple[str, str | None, int], ...]:
    """Every import of a file, also inside functions, as (module, name or None, line); read once.

    Args:
        path: A file of Python.
        types: Also those under `if TYPE_CHECKING`, which run in no program.
    """
    return tuple(_import_statements(path, types))


def _import_statements(path: Path, types: bool):
    nodes = [ast.parse(path.read_text())]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and not types and "TYPE_CHECKING" in ast.unparse(node.test):
            nodes += node.orelse
            continue
        nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from ((alias.name, None, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module
            if node.level:  # only the panels, which have two addresses: see their __init__
                full = f"{path}:{node.lineno}: imports are written in full"
                assert room_of(path) == "widgets", full
                here = path.relative_to(ROOT).parent.parts
                package = here[: len(here) + 1 - node.level]
                module = ".".join(filter(None, [*package, module]))
            yield from ((module, alias.name, node.lineno) for alias in node.names)


def imported_rooms(path: Path):
    """Every room that a file imports from, with the line."""
    for module, name, line in import_statements(path):
        head, *rest = f"{module}.{name}".split(".")
        if head == "widgets":
            yield "widgets", line
        elif head == "qtha_lab" and rest[0] in HEIGHT:
            yield rest[0], line


def imported_modules(path: Path) -> set[str]:
    """Modules of ours that a file imports when it runs; a package stands for its `__init__`."""
    candidates = (
        (f"{module}.{name}", module) for module, name, _ in import_statements(path, False)
    )
    modules = (next((m for m in pair if m in MODULES), None) for pair in candidates)
    # the front of the package finds its names by text, when they are asked for
    return {m for m in modules if m} - {module_of(path), "qtha_lab"}


def circle(imports: dict[str, set[str]]) -> list[str]:
    """A way along imports that ends where it began; empty if there is none."""
    closed: set[str] = set()

    def search(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in closed:
            return []
        for other in sorted(imports.get(name, ())):
            if there_and_back := search(other, [*way, name]):
                return there_and_back
        closed.add(name)
        return []

    return next((way for name in sorted(imports) if (way := search(name, []))), [])


def between(shorten) -> dict[str, set[str]]:
    """Imports between modules as imports between what `shorten` makes of their addresses."""
    imports: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        others = {shorten(other) for other in imported_modules(path)}
        imports.setdefault(shorten(module), set()).update(others - {shorten(module)})
    return imports


@pytest.mark.parametrize(
    "shorten",
    [
        pytest.param(lambda module: module, id="modules"),
        pytest.param(lambda module: ".".join(module.split(".")[:2]), id="rooms"),
        # inside a room its `__init__` stands above its files, and a folder counts as one
        pytest.param(lambda module: ".".join([*module.split("."), "front"][:3]), id="folders"),
    ],
)
def test_no_import_runs_in_a_circle(shorten):
    way = circle(between(shorten))
    assert not way, " imports ".join(way)


@for_each_file
def test_imports_go_only_downward(path):
    if path == ROOT / "qtha_lab" / "__init__.py":
        return
    own = room_of(path)
    assert own in HEIGHT, f"{own} has no place in LAYERS"
    for room, line in imported_rooms(path):
        assert HEIGHT[room] <= HEIGHT[own], f"{path}:{line} imports {room} from {own}"


def test_figures_take_numbers_and_import_no_torch():
    for path in (ROOT / "qtha_lab" / "figures").rglob("*.py"):
        source = path.read_text()
        assert "import torch" not in source
        rooms = {room for room, _ in imported_rooms(path)}
        if path.stem == "circuit_diagram":  # how a gate is drawn stands in its entry
            circuits = {m for m in imported_modules(path) if m.startswith("qtha_lab.circuits")}
            assert circuits == {"qtha_lab.circuits.gate_kinds"}
            rooms -= {"circuits"}
        ground = {
            "core",
            "errors",
            "measures",
            "settings",
            "calls",
            "paths",
            "registry",
            "looks",
            "figures",
        }
        assert rooms <= ground, f"{path} imports {rooms}"


def test_importing_the_package_loads_nothing_heavy():
    heavy = ["torch", "transformers", "peft", "pennylane", "numba", "plotly", "ipywidgets"]
    code = f"import sys, qtha_lab, qtha_lab.cli; print([m for m in {heavy} if m in sys.modules])"
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "[]"


def test_listing_runs_loads_no_library_of_numbers():
    code = (
        "import sys; from qtha_lab.cli import main\ntry:\n    main()\nexcept SystemExit:\n   "
        " pass\n"
    )
    code += (
        "print([m for m in ('torch', 'numpy', 'scipy', 'pandas', 'rich.table') if m in"
        " sys.modules])"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, "runs"], capture_output=True, text=True, check=True
    )
    assert process.stdout.splitlines()[-1] == "[]"


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


def test_the_files_that_take_longest_are_there():
    missing = [name for name in LONGEST if not [*(ROOT / "tests").rglob(f"{name}.py")]]
    assert missing == []


# ---- foreign data: only core/io opens, parses and prints it

PARSERS = {
    "json": {"load", "loads"},
    "yaml": None,
    "pickle": {"load", "loads", "Unpickler"},
    "gzip": {"open"},
    "torch": {"load"},
    "np": {"load", "loadtxt"},
}
READERS = {"safe_open", "load_file"}
WRITES = set("wax")
# What reads or prints something else than foreign data, or must do it in its own way.
EXCEPTIONS = {
    "qtha_lab/tasks/problems/engines.py": "numpy parses numbers of a file that core/io opened",
    "qtha_lab/tasks/problems/speech.py": "numpy and gzip unpack files that core/io opened",
    "qtha_lab/training/resume.py": "torch reads a checkpoint's own tensors, weights only",
}


def foreign_data(path: Path) -> list[str]:
    """Calls of a file that open for reading, parse or print, as `line: call`."""
    calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
    return [f"{call.lineno}: {ast.unparse(call.func)}" for call in calls if _takes_foreign(call)]


def _takes_foreign(call: ast.Call) -> bool:
    function = call.func
    if isinstance(function, ast.Name):
        is_open = function.id == "open" and not _is_writing(call, 1)
        return is_open or function.id == "print" or function.id in READERS
    if not isinstance(function, ast.Attribute):
        return False
    owner = function.value.id if isinstance(function.value, ast.Name) else ""
    if owner in PARSERS:
        names = PARSERS[owner]
        return (
            function.attr in names
            if names
            else "load" in function.attr or function.attr in ("parse", "compose", "scan")
        )
    is_open = (
        function.attr == "open" and owner not in ("os", "webbrowser") and not _is_writing(call, 0)
    )
    return is_open or function.attr in READERS | {"read_text", "read_bytes"}


def _is_writing(call: ast.Call, place: int) -> bool:
    """Tell whether a call of `open` has a mode that writes, in a place or by name."""
    modes = [*call.args[place : place + 1], *(k.value for k in call.keywords if k.arg == "mode")]
    return any(isinstance(m, ast.Constant) and WRITES & set(str(m.value)) for m in modes)


@for_each_file
def test_only_core_io_opens_parses_and_prints_foreign_data(path):
    name = str(path.relative_to(ROOT))
    if name.startswith("qtha_lab/core/io/"):
        return
    found = foreign_data(path)
    if name in EXCEPTIONS:
        assert found, f"{name} needs no exception any more"
    else:
        assert not found, (
            f"{name} reads or prints by itself at {', '.join(found)}: use qtha_lab.core.io"
        )


def test_the_rule_on_foreign_data_knows_a_reader_from_a_writer(tmp_path):
    file = tmp_path / "sample.py"
    readers = [
        "open(x)",
        "open(x, 'rb')",
        "path.open()",
        "path.open('r+b')",
        "path.read_text()",
        "json.loads(t)",
        "yaml.safe_load(t)",
        "pickle.load(f)",
        "gzip.open(f)",
        "print(1)",
        "safe_open(f, 'pt')",
        "load_file(f)",
        "torch.load(f)",
    ]
    writers = [
        "open(x, 'w')",
        "path.open('ab')",
        "path.open(mode='x')",
        "os.open(x, 1)",
        "path.write_text(t)",
        "json.dumps(t)",
        "yaml.dump(t)",
        "pickle.dumps(t)",
        "show(1)",
    ]
    file.write_text("\n".join(readers))
    assert len(foreign_data(file)) == len(readers)
    file.write_text("\n".join(writers))
    assert foreign_data(file) == []


# ---- files are written only by core/io

WRITERS = {
    "write_text",
    "write_bytes",
    "touch",
    "mkdir",
    "symlink_to",
    "hardlink_to",
    "save_file",
    "unlink",
    "rmdir",
}
OF_MODULES = {
    "os": {"replace", "makedirs", "rename", "link", "symlink", "remove", "removedirs", "truncate"},
    "shutil": {"copy", "copy2", "copyfile", "copytree", "copyfileobj", "move", "rmtree"},
    "np": {"save", "savetxt", "savez_compressed"},
    "torch": {"save"},
    "tempfile": {
        "mkdtemp",
        "mkstemp",
        "NamedTemporaryFile",
        "SpooledTemporaryFile",
        "TemporaryDirectory",
        "TemporaryFile",
    },
}
WRITING_EXCEPTIONS = {
    "qtha_lab/core/locks.py": "the flag goes to open_shared of core/io",
    "qtha_lab/training/memory.py": "the kernel's /proc/self/clear_refs is no file on a disk",
}


def writes(path: Path) -> list[str]:
    """Calls of a file that write, move, copy or delete files, as `line: call`."""
    nodes = [*ast.walk(ast.parse(path.read_text()))]
    calls = [node for node in nodes if isinstance(node, ast.Call) and _writes(node)]
    flags = [node for node in nodes if isinstance(node, ast.Attribute) and node.attr == "O_CREAT"]
    named = [
        node
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        and {alias.name for alias in node.names} & OF_MODULES.get(node.module or "", set())
    ]
    return [f"{node.lineno}: {ast.unparse(node)[:60]}" for node in (*calls, *flags, *named)]


def _writes(call: ast.Call) -> bool:
    function = call.func
    if isinstance(function, ast.Name):
        return (function.id == "open" and _is_writing(call, 1)) or function.id == "save_file"
    if not isinstance(function, ast.Attribute):
        return False
    owner = function.value.id if isinstance(function.value, ast.Name) else ""
    if owner in OF_MODULES:
        return function.attr in OF_MODULES[owner] | WRITERS
    is_move = function.attr in ("replace", "rename") and len(call.args) == 1 and not call.keywords
    is_open = function.attr == "open" and owner != "webbrowser" and _is_writing(call, 0)
    return function.attr in WRITERS or is_move or is_open


@for_each_file
def test_only_core_io_writes_files(path):
    name = str(path.relative_to(ROOT))
    if name.startswith("qtha_lab/core/io/"):
        return
    found = writes(path)
    if name in WRITING_EXCEPTIONS:
        assert found, f"{name} needs no exception any more"
    else:
        assert not found, f"{name} writes by itself at {', '.join(found)}: use qtha_lab.core.io"


def test_the_rule_on_writing_knows_a_writer_from_a_reader(tmp_path):
    file = tmp_path / "sample.py"
    writers = [
        "open(x, 'w')",
        "path.open('ab')",
        "path.open(mode='x')",
        "path.write_text(t)",
        "path.mkdir()",
        "path.touch()",
        "path.unlink()",
        "path.rename(other)",
        "path.replace(other)",
        "os.replace(a, b)",
        "os.rename(a, b)",
        "os.makedirs(a)",
        "os.open(x, os.O_CREAT)",
        "shutil.copy2(a, b)",
        "shutil.rmtree(a)",
        "tempfile.mkdtemp()",
        "from tempfile import TemporaryDirectory",
        "torch.save(t, f)",
        "save_file(t, f)",
    ]
    readers = [
        "open(x)",
        "path.open('rb')",
        "os.open(x, os.O_RDONLY)",
        "text.replace('a', 'b')",
        "experiment.replace(seed=1)",
        "write_atomically(path, t)",
        "shutil.which('a')",
        "tempfile.gettempdir()",
        "copy.copy(a)",
        "array.copy()",
    ]
    file.write_text("\n".join(writers))
    assert len(writes(file)) == len(writers)
    file.write_text("\n".join(readers))
    assert writes(file) == []


# ---- measurements of `make stats` that may not grow again

PROTOCOLS = {"check", "load", "main", "run", "working_bytes"}
MOST_SKIPS = 60


@functools.cache
def stats():
    """Return the module tools/stats.py."""
    spec = importlib.util.spec_from_file_location("stats", ROOT / "tools" / "stats.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def repeated(kind: type, least: int) -> dict[str, list[str]]:
    """Return the public names that stand in at least so many modules, with their files."""
    places = stats().public_names(kind)
    return {
        name: sorted(str(path.relative_to(ROOT)) for path in paths)
        for name, paths in places.items()
        if len(paths) >= least
    }


def test_no_two_public_classes_share_a_name():
    assert repeated(ast.ClassDef, 2) == {}


def test_only_documented_protocols_stand_in_three_modules():
    names = repeated(ast.FunctionDef, 3)
    assert set(names) == PROTOCOLS, names
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert [name for name in sorted(PROTOCOLS) if f"- `{name}`" not in page] == []


def test_no_function_is_of_radon_rank_d():
    visitor = pytest.importorskip("radon.complexity")
    found = {
        f"{path.relative_to(ROOT)}: {block.name}": block.complexity
        for path, tree in stats().TREES.items()
        for block in visitor.cc_visit_ast(tree)
        if visitor.cc_rank(block.complexity) >= "D"
    }
    assert found == {}


def test_few_lines_escape_the_formatter_and_none_is_too_long():
    sources = {path: path.read_text(encoding="utf-8") for path in FILES}
    assert sum(source.count("# fmt: skip") for source in sources.values()) <= MOST_SKIPS
    long = [
        f"{path.relative_to(ROOT)}:{number}"
        for path, source in sources.items()
        for number, line in enumerate(source.splitlines(), 1)
        if len(line) > 100
    ]
    assert long == []


# ---- internals of other libraries: patched in one module only

PATCHES = {"qtha_lab/core/patches.py"}
# the switch that transformers documents for a registered attention function
NO_PATCH = {"_attn_implementation"}


def patched_internals(path: Path) -> list[str]:
    """Return the assignments of a file to private attributes of objects that it does not define."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    defined = {
        target.attr
        for node in ast.walk(tree)
        for target in _stored(node)
        if ast.unparse(target.value) in ("self", "cls")
    } | {node.target.id for node in ast.walk(tree) if _is_field(node)}
    return [
        f"{target.lineno}: {ast.unparse(target)}"
        for node in ast.walk(tree)
        for target in _stored(node)
        if target.attr.startswith("_") and not target.attr.endswith("__")
        if target.attr not in defined | NO_PATCH
    ]


def _stored(node: ast.AST) -> list[ast.Attribute]:
    return [node] if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) else []


def _is_field(node: ast.AST) -> bool:
    return isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)


@for_each_file
def test_internals_of_other_libraries_are_patched_in_one_module(path):
    if str(path.relative_to(ROOT)) not in PATCHES:
        assert patched_internals(path) == []


def test_the_rule_on_patches_knows_an_internal_from_an_own_attribute(tmp_path):
    file = tmp_path / "sample.py"
    file.write_text("self._a = 1\nother._a = 2\nother._b = 3\nother.c = 4\nother.__doc__ = ''\n")
    assert patched_internals(file) == ["3: other._b"]


# ---- a wrong sentence is mended in one file

REFUSED = {
    "a folder of another study": lambda folder: [
        SweepStudy.create(Sweep(methods="lora", axes={"learning_rate": [rate]}), folder)
        for rate in (0.01, 0.02)
    ],
    "a sealed test of a single run": lambda folder: Experiment(sealed=True).check(),
    "a value that describes no study": lambda folder: launch(folder),
}


def files_with(words: str, folders: list[str]) -> list[str]:
    """The files whose texts hold these words."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [
        path.name
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and words in str(node.value)
    ]


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_sentence_is_mended_in_one_file(name, tmp_path):
    with pytest.raises(Refusal) as refused:
        REFUSED[name](tmp_path / "folder")
    words = " ".join(refused.value.rule.split()[:5])
    assert len(words.split()) == 5
    assert len(files_with(words, ["qtha_lab", "widgets"])) == 1
    assert files_with(words, ["tests"]) == []


# ---- one of each: concepts that are gone, and modules under their own names

GONE = {  # names of modules, classes and functions, below the folders where they had this meaning
    "one run in another shape": (
        "RunSet ScheduledRuns Trials Row RunValues entry entries standing identity run_set"
        " run_values",
        "experiment runs studies",
    ),
    "a folder class for each kind of study": (
        "ComparisonFolder FederationFolder ReproductionFolder SweepFolder launched run_comparison.py"
        " StagedComparison",
        "runs studies reproductions",
    ),
    "findings decided twice": ("FigureSet figure_set Section sections.py section.py", "studies"),
    "a fork server": ("fork_server gc_freeze ForkServer", "core runs studies"),
    "groups of training settings": (
        "Optim Evaluation training_groups.py flat_names.py",
        "experiment training",
    ),
    "an object-store mirror": ("mirror.py store.py", "runs"),
    "an own grammar of OpenQASM": ("Tokenizer Lexer Token Grammar grammar.py", "circuits"),
    "own controls": ("Panel controls.py panel.py panel.js", "kit"),
}
USUAL = {"np", "pd", "nn", "qml", "go", "tn", "F", "ipw", "tl", "st", "px"}


def names_in(path: Path) -> set[str]:
    """The name of a file, and those of its module, classes and public functions."""
    nodes = ast.parse(path.read_text()).body if path.suffix == ".py" else []
    defined = (ast.ClassDef, ast.FunctionDef)
    return {path.name, path.stem} | {node.name for node in nodes if isinstance(node, defined)}


@pytest.mark.parametrize("concept", GONE)
def test_a_concept_that_went_does_not_come_back(concept):
    names, folders = map(set, (text.split() for text in GONE[concept]))
    sources = [
        path
        for root in ("qtha_lab", "widgets")
        for path in (ROOT / root).rglob("*.[pj][ys]")
        if folders & set(path.parent.relative_to(ROOT).parts)
    ]
    assert sources
    found = {
        str(path.relative_to(ROOT)): again for path in sources if (again := names & names_in(path))
    }
    assert found == {}


def hidden_modules(source: str) -> list[str]:
    """Imports of a source that give a module another name than its own or its usual one."""
    return [
        f"{node.lineno}: {alias.name} as {alias.asname}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if alias.asname not in {None, alias.name, alias.name.split(".")[-1]} | USUAL
        if isinstance(node, ast.Import) or f"{node.module}.{alias.name}" in MODULES
    ]


@for_each_file
def test_no_import_alias_hides_the_name_of_a_module(path):
    assert hidden_modules(path.read_text()) == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_import_alias_in_a_notebook_hides_the_name_of_a_module(notebook):
    cells = json.loads(notebook.read_text())["cells"]
    plain = TransformerManager().transform_cell  # without magic commands
    sources = [plain("".join(cell["source"])) for cell in cells if cell["cell_type"] == "code"]
    assert sources
    assert [found for source in sources for found in hidden_modules(source)] == []


def test_the_rule_on_aliases_knows_a_module_from_a_function():
    source = (
        "import numpy as np\nimport json as text\nfrom qtha_lab.runs import run as view\n"
        "from qtha_lab.runs.run import load_run as opened\n"
    )
    assert hidden_modules(source) == ["2: json as text", "3: run as view"]


OWN_MECHANISMS = re.findall(
    r"^\| `([\w/]+)` \| ([\w.-]+) \|", (ROOT / "ARCHITECTURE.md").read_text(), re.M
)


@pytest.mark.parametrize(("module", "library"), OWN_MECHANISMS)
def test_the_docstring_of_an_own_mechanism_names_the_library(module, library):
    folder = ROOT if module.startswith("widgets/") else ROOT / "qtha_lab"
    docstring = ast.get_docstring(ast.parse((folder / f"{module}.py").read_text()))
    assert library.lower() in (docstring or "").lower()
