"""Public API as docs/reference/api.md: names, parameters, methods and first sentences.

    python -m tools.api          writes the page; tests/package/test_public_api.py compares it

A name that several modules export is listed once, under the first of them. griffe, which writes the
other pages, reads sources, and misses the fields of pydantic settings and those that a config
inherits from PEFT.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from peft import PeftConfig

from tools.measurements import ROOT

MODULES = ("qtha_lab", "qtha_lab.plugins", "qtha_lab.testing", "qtha_lab.widgets")
PAGE = ROOT / "docs" / "reference" / "api.md"
HEAD = """# Public API

Version 1 keeps these {count} names of {modules} modules, with their parameters. A name leaves after
one minor version in which its use warns and names the replacement. Everything else is private,
also where it can be imported. Members of registries are kept by name: [methods](methods.md),
[ansätze and engines](circuits.md), [figures](figures.md), [tasks](models_and_tasks.md),
[settings](settings.md) and [commands](command.md).

`python -m tools.api` writes this page.
"""


def public_names() -> dict[str, dict[str, Any]]:
    """Return the public objects by module and name, each once."""
    listed: dict[str, dict[str, Any]] = {}
    for module in MODULES:
        known = {name for of in listed.values() for name in of}
        package = importlib.import_module(module)
        own = (name for name in package.__all__ if name not in known and name[0] != "_")
        listed[module] = {name: getattr(package, name) for name in own}
    return listed


def page() -> str:
    """Return the page as Markdown."""
    listed = public_names()
    count = sum(map(len, listed.values()))
    parts = [HEAD.format(count=count, modules=len(listed))]
    for module, names in listed.items():
        parts += [f"## {module}\n", *(_entry(name, of) for name, of in names.items())]
    return "\n".join(parts)


def _entry(name: str, of: Any) -> str:
    sentence = inspect.getdoc(of).splitlines()[0]
    called = "" if isinstance(of, ModuleType) else f"({', '.join(_parameters(of))})"
    members = ", ".join(f"`{member}`" for member in _members(of))
    return (
        f"- **`{name}{called}`**: {sentence}" + (f" Members: {members}." if members else "") + "\n"
    )


def _parameters(of: Any) -> Iterator[str]:
    """Yield the parameters of a function or class; a default that is no plain value is `…`.

    A panel takes initial values of its state.
    """
    if state := getattr(of, "STATE", None):
        yield from state
        return
    marks = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}
    for parameter in inspect.signature(of).parameters.values():
        plain = isinstance(parameter.default, bool | int | float | str | None)
        default = repr(parameter.default) if plain else "…"
        has_default = parameter.default is not parameter.empty
        name = marks.get(parameter.kind.name, "") + parameter.name
        yield f"{name}={default}" if has_default else name


def _members(of: Any) -> list[str]:
    """Return the public methods and properties of our classes, except of configs and panels."""
    if not inspect.isclass(of) or issubclass(of, PeftConfig):
        return []
    own = [base for base in of.__mro__ if base.__module__.startswith("qtha_lab.")]
    kinds = (property, staticmethod, classmethod)
    return sorted(
        {
            name
            for base in own
            for name, member in vars(base).items()
            if name[0] != "_" and (inspect.isfunction(member) or isinstance(member, kinds))
        }
    )


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
