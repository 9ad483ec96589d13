"""Commands of `qtha-lab bench`, declared by the benches: signature, defaults and docstring.

The command NAME calls `bench_NAME` of its module with `show` for progress, and prints its `tables`.
Signatures are parsed, since the modules import heavy libraries.
"""

import ast
import importlib
import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.reporting import report
from qtha_lab.core import paths
from qtha_lab.core.call_syntax import split_list
from qtha_lab.core.errors import Refusal

app = typer.Typer(add_completion=False)
BENCHES = {
    "step": "benchmarks.step",
    "simulators": "benchmarks.simulators",
    "device": "benchmarks.device",
    "predicted": "benchmarks.predicted",
    "start": "benchmarks.start",
    "study": "benchmarks.study",
    "imports": "benchmarks.imports",
    "list": "benchmarks.lists",
    "compare": "benchmarks.lists",
    "panels": "benchmarks.notebooks",
    "opening": "benchmarks.notebooks",
    "coverage": "tools.coverage",
    "default-size": "tools.default_size",
    "repeatable": "tools.repeatable",
}
TYPES = {"int": int, "int | None": int | None, "float": float, "bool": bool, "str": str}
LISTS = {"tuple[int, ...]": int, "tuple[str, ...]": str}  # flags with commas
REPORTS = {"json": "Also write all figures here.", "page": "Also write the tables here."}
Flags = dict[str, inspect.Parameter]


def values_of(name: str, text: str, kind: type) -> tuple:
    """Read a list such as `4,6,8` or `lora(r=8),qtha`."""
    try:
        return tuple(kind(word) for word in split_list(text)) if text else ()
    except ValueError:
        raise Refusal(f"{name} must be whole numbers such as 4,6,8, got {text!r}.") from None


def _add(name: str, module: str) -> None:
    """Add the command of a bench."""
    function = f"bench_{name.replace('-', '_')}"
    summary, flags, lists = _declared(module, function)

    def command(**given: Any) -> None:
        from qtha_lab.cli.output import progress

        changed = {flag: given[flag] for flag in flags if given[flag] != flags[flag].default}
        files = [given.pop(file) for file in REPORTS]
        given |= {flag: values_of(flag, given[flag], kind) for flag, kind in lists.items()}
        if given.get("threads"):  # before torch is imported
            from qtha_lab.runs.worker import use_threads

            use_threads(given["threads"])
        bench = importlib.import_module(module)
        with progress() as bars:
            task = bars.add_task(name, total=1, message="")

            def show(done: float, total: float, message: str = "") -> None:
                bars.update(task, completed=done, total=total, message=message)

            figures = getattr(bench, function)(**given, show=show)
        report(figures, bench.tables(figures), *files, command=_command(name, changed))

    files = {file: _flag(file, Path | None, None, text) for file, text in REPORTS.items()}
    command.__signature__ = inspect.Signature([*(flags | files).values()])  # type: ignore
    command.__annotations__ = {of.name: of.annotation for of in (flags | files).values()}
    app.command(name, help=summary)(command)


def _declared(module: str, function: str) -> tuple[str, Flags, dict[str, type]]:
    """Return summary and flags of a bench, and the types of those that are lists."""
    file = (paths.CHECKOUT / module.replace(".", "/")).with_suffix(".py")
    body = ast.parse(file.read_text(encoding="utf-8")).body
    (node,) = (of for of in body if isinstance(of, ast.FunctionDef) and of.name == function)
    text, flags, lists = ast.get_docstring(node) or "", {}, {}
    helps = dict(re.findall(r"^    (\w+): (.+(?:\n     +.+)*)", text, re.MULTILINE))
    for name, kind, default in _parameters(node):
        if kind in LISTS:
            lists[name], kind, default = LISTS[kind], "str", ",".join(map(str, default))
        if kind in TYPES or kind == "Path":
            of = TYPES.get(kind, Path)
            flags[name] = _flag(name, of, of(default) if of is Path else default, helps[name])
    return text.splitlines()[0], flags, lists


def _parameters(node: ast.FunctionDef) -> Iterator[tuple[str, str, Any]]:
    """Yield name, type and default of every parameter but `show`."""
    arguments, defaults = node.args.args, node.args.defaults
    for argument, default in zip(arguments[-len(defaults) :], defaults, strict=True):
        literal = default.args[0] if isinstance(default, ast.Call) else default  # Path("...")
        if argument.arg != "show" and argument.annotation and not isinstance(literal, ast.Name):
            yield argument.arg, ast.unparse(argument.annotation), ast.literal_eval(literal)


def _flag(name: str, kind: Any, default: Any, text: str) -> inspect.Parameter:
    least = 1 if kind in (int, int | None) else None
    option = typer.Option(f"--{name.replace('_', '-')}", min=least, help=" ".join(text.split()))
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, keyword, default=default, annotation=Annotated[kind, option])


def _command(name: str, changed: dict[str, Any]) -> str:
    """Return the command as it can be typed."""
    words = ["qtha-lab", "bench", name]
    for flag, value in changed.items():
        words += [f"--{flag.replace('_', '-')}", *([] if value is True else [str(value)])]
    return shlex.join(words)


for _name, _module in BENCHES.items():
    _add(_name, _module)
