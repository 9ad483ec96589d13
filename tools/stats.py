"""Print measurements of the code base, each with its target: `make stats`."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (ROOT / "qtha_lab", ROOT / "widgets")
PROGRAM = [path for folder in FOLDERS for path in sorted(folder.rglob("*.py"))]
FRONT_END = [
    path
    for folder in FOLDERS
    for path in sorted(folder.rglob("*"))
    if path.suffix in {".js", ".css"} and "node_modules" not in path.parts
]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in PROGRAM}


def count_lines(paths) -> int:
    """Count the lines of files."""
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)


LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
LAYOUT |= {tokenize.ENCODING, tokenize.ENDMARKER}


def code_tokens(path: Path) -> list[tokenize.TokenInfo]:
    """Return the tokens of a file without comments and layout."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    return [token for token in tokens if token.type not in LAYOUT]


def count_code(path: Path) -> int:
    """Count the lines of a file that are neither docstring, comment nor blank."""
    lines = {n for token in code_tokens(path) for n in range(token.start[0], token.end[0] + 1)}
    texts = (
        node
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
    return len(lines.difference(*(range(n.lineno, (n.end_lineno or 0) + 1) for n in texts)))


# of qtha_lab and widgets; tests/package/test_size.py holds today's values, which may only fall
TARGETS = {
    "lines with JavaScript and CSS": 86_000,
    "code lines": 55_000,
    "files": 550,
    "tokens": 500_000,
    "lines of tests": 42_000,
}


def sizes() -> dict[str, int]:
    """Measure each size that has a target."""
    return {
        "lines with JavaScript and CSS": count_lines([*PROGRAM, *FRONT_END]),
        "code lines": sum(map(count_code, PROGRAM)),
        "files": len(PROGRAM) + len(FRONT_END),
        "tokens": sum(len(code_tokens(path)) for path in PROGRAM),
        "lines of tests": count_lines((ROOT / "tests").rglob("*.py")),
    }


def top_level() -> tuple[int, int]:
    """Count the packages and the modules directly below `qtha_lab`."""
    children = [*(ROOT / "qtha_lab").iterdir()]
    packages = [path for path in children if (path / "__init__.py").is_file()]
    return len(packages), sum(path.suffix == ".py" for path in children)


def layers() -> int:
    """Count the layers that tests/package/test_architecture.py declares."""
    tree = ast.parse((ROOT / "tests/package/test_architecture.py").read_text(encoding="utf-8"))
    (value,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LAYERS"
    )
    return len(ast.literal_eval(value))


def public_names(kind: type) -> dict[str, set[Path]]:
    """Map every public class or top-level function to the files that define it."""
    places: dict[str, set[Path]] = defaultdict(set)
    for path, tree in TREES.items():
        for node in tree.body:
            if isinstance(node, kind) and not node.name.startswith("_"):
                places[node.name].add(path)
    return places


def dependencies() -> int:
    """Count the packages that `pip install qtha-lab` requires."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return len(project["dependencies"])


def tracked_megabytes() -> float:
    """Sum the sizes of all tracked files, in MB."""
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout.split(b"\0")
    files = [ROOT / name.decode() for name in names if name]
    return sum(path.stat().st_size for path in files if path.is_file()) / 1e6


def complex_functions() -> int | None:
    """Count functions at radon's rank D or worse; None where radon is not installed."""
    try:
        from radon.complexity import cc_rank, cc_visit_ast
    except ImportError:
        return None
    blocks = (block for tree in TREES.values() for block in cc_visit_ast(tree))
    return sum(cc_rank(block.complexity) >= "D" for block in blocks)


def rows() -> Iterator[tuple[str, object, str]]:
    """Yield each measurement with its value and its target."""
    packages, modules = top_level()
    sources = [path.read_text(encoding="utf-8") for path in PROGRAM]
    functions = public_names(ast.FunctionDef)
    for name, value in sizes().items():
        yield name, value, f"{TARGETS[name]:,}"
    yield "lines of benchmarks", count_lines((ROOT / "benchmarks").rglob("*.py")), "2,000"
    yield "packages below qtha_lab", packages, "17"
    yield "modules below qtha_lab", modules, "5"
    yield "layers", layers(), "12"
    yield "public classes that stand twice", _shared(public_names(ast.ClassDef), 2), "0"
    yield "function names in three or more modules", _shared(functions, 3), "10"
    yield "functions at radon D or worse", complex_functions(), "0"
    yield "`# fmt: skip`", sum(source.count("# fmt: skip") for source in sources), "60"
    yield "lines over 100 characters", sum(_long(source) for source in sources), "0"
    yield "hard dependencies", dependencies(), "14"
    yield "tracked MB", f"{tracked_megabytes():.1f}", "20"


def _shared(places: dict[str, set[Path]], least: int) -> int:
    return sum(len(paths) >= least for paths in places.values())


def _long(source: str) -> int:
    return len(re.findall(r"^.{101,}$", source, re.MULTILINE))


def main() -> None:
    """Print the table."""
    sys.stdout.writelines(
        f"{name:45} {value if value is not None else 'radon is missing':>10}   target {target}\n"
        for name, value, target in rows()
    )


if __name__ == "__main__":
    main()
