"""Hooks of the site: formulas of lessons, and tables read from the registries.

A page asks for a table by `{{ name }}` or `{{ name argument }}` on a line of its own.
"""

import re
from html import unescape
from pathlib import Path

ROOT = Path(__file__).parent.parent
FORMULA = re.compile(r"\$\$(?P<display>.+?)\$\$|\$(?P<inline>[^$\n]+?)\$", re.DOTALL)
CODE = re.compile(r"(<pre.*?</pre>|<code.*?</code>|<script.*?</script>)", re.DOTALL)
TOY = "toy"
LINKED = re.compile(r'(href="[\w./]*)\.ipynb"')
SWITCH = '<p class="model-switch">Outputs of <b>{here}</b> · <a href="{link}">{other}</a></p>'
ASKED = re.compile(r"^\{\{ (\w+)(?: ([\w.]+))? \}\}$", re.MULTILINE)


def on_page_markdown(markdown: str, **_) -> str:
    return ASKED.sub(lambda match: TABLES[match[1]](*filter(None, [match[2]])), markdown)


def on_page_content(html: str, page, **_) -> str:
    """Convert formulas of the lessons to MathML, which browsers draw without a script.

    The search finds a lesson once, with the outputs of its own model.
    """
    if not page.file.src_uri.endswith(".ipynb"):
        return html
    if f"/{TOY}/" in page.file.src_uri:
        page.meta["search"] = {"exclude": True}
    parts = CODE.split(LINKED.sub(r'\1.html"', html))
    return _switch(page.file.src_uri) + "".join(
        part if i % 2 else FORMULA.sub(_mathml, part) for i, part in enumerate(parts)
    )


def _switch(address: str) -> str:
    """Return the link between the outputs of both models; empty for a page with one."""
    path = ROOT / "docs" / address
    is_toy = path.parent.name == TOY
    other = path.parent.parent / path.name if is_toy else path.parent / TOY / path.name
    if not other.is_file():
        return ""
    names = ("the toy model", "SmolLM2-135M")
    here, there = names if is_toy else names[::-1]
    link = f"../{path.stem}.html" if is_toy else f"{TOY}/{path.stem}.html"
    return SWITCH.format(here=here, link=link, other=there)


def _mathml(formula: re.Match) -> str:
    from latex2mathml.converter import convert

    text = unescape(formula["display"] or formula["inline"])
    return convert(text, display="block" if formula["display"] else "inline")


def _table(head: tuple[str, ...], rows) -> str:
    from qtha_lab.cli.text_table import markdown_table

    return markdown_table([head, *([str(cell) for cell in row] for row in rows)])


def _methods() -> str:
    from qtha_lab.adapters.registry import controls_table, methods_table
    from qtha_lab.cli.text_table import markdown_table

    tables = map(markdown_table, (methods_table(), controls_table()))
    return "\n\n## Controls\n\n".join(tables)


def _settings(path: str) -> str:
    """Return tables of the settings of a class, one per section, from their declarations."""
    from qtha_lab.core.settings import settings_of

    module, _, name = path.rpartition(".")
    declared = getattr(__import__(f"qtha_lab.{module}", fromlist=[name]), name)
    tables: dict[str, list[tuple]] = {}
    for s in settings_of(declared).values():
        row = f"`{s.name}`", _kind(s), _default(s.default), f"{s.help} {_unit(s)}"
        tables.setdefault(f"### {s.section.capitalize()}\n\n" if s.section else "", []).append(row)
    head = ("setting", "type and range", "default", "meaning")
    return "\n\n".join(title + _table(head, rows) for title, rows in tables.items())


def _kind(setting) -> str:
    if setting.choices:
        return ", ".join(f"`{choice}`" for choice in setting.choices)
    bounds = ((setting.ge, "≥"), (setting.gt, ">"), (setting.le, "≤"))
    limits = [f"{sign} {limit}" for limit, sign in bounds if limit is not None]
    return ", ".join([setting.type.__name__, *limits])


def _unit(setting) -> str:
    return f"In {setting.unit}." if setting.unit else ""


def _ansatze() -> str:
    from qtha_lab import ansatze

    infos = [ansatze.get(name) for name in ansatze.names()]
    return _table(
        ("ansatz", "description", "angles, 4 qubits, 2 layers", "source"),
        ((f"`{i.name}`", i.summary, i.n_params(4, 2), i.source) for i in infos),
    )


def _tasks() -> str:
    from qtha_lab.tasks.registry import TASKS

    return _table(
        ("task", "goal", "source", "licence"),
        ((f"`{t.name}`", t.summary, t.source, t.licence) for t in TASKS.values()),
    )


def _figures() -> str:
    from qtha_lab.figures.machinery.figure import figure_functions

    rows = (
        (f"`{f.name}`", (f.make.__doc__ or "").strip().splitlines()[0]) for f in figure_functions()
    )
    return _table(("from `qtha_lab.figures`", "description"), rows)


def _command() -> str:
    """Return the help of every command as Markdown."""
    import typer.main

    from qtha_lab.cli import load_commands

    group = typer.main.get_command(load_commands())
    return "\n\n".join(_help(group, "qtha-lab"))


def _help(command, path: str):
    for name, child in sorted(getattr(command, "commands", {}).items()):
        yield from _help(child, f"{path} {name}")
    if not hasattr(command, "commands"):
        yield f"## {path}\n\n{(command.help or '').strip()}"
        options = [p for p in command.params if getattr(p, "help", None)]
        rows = ((f"`{_names(p)}`", _default(p.default), p.help) for p in options)
        yield _table(("option", "default", "meaning"), rows)


def _names(parameter) -> str:
    return (
        ", ".join(parameter.opts)
        if parameter.param_type_name == "option"
        else parameter.name.upper()
    )


def _default(value) -> str:
    """Return a plain default as code; "" for none, or for a class with its own table."""
    plain = isinstance(value, bool | int | float | str | list | tuple | dict)
    return f"`{value}`" if plain and value not in ("", {}, [], ()) else ""


def _facts() -> str:
    """Return a table of the contract's facts."""
    from qtha_lab.testing.checking import FACTS

    rows = [(kind, fact.sentence) for kind, facts in FACTS.items() for fact in facts]
    return _table(("kind", "fact"), rows)


def _kin() -> str:
    """Return a table of the reproductions, by the number of the paper."""
    from qtha_lab.reproductions.machinery.listing import system_table

    head, *rows = system_table()
    return _table(head, rows)


def _kin_verdicts() -> str:
    """Return the verdicts of the full reproductions."""
    from qtha_lab.reproductions.machinery.listing import sections

    return sections()


def _heads() -> str:
    """Return a table of the classification heads."""
    from qtha_lab.adapters.heads import HEADS

    rows = ((f"`{h.example}`", h.summary, f"`{h.equation}`", h.source) for h in HEADS.values())
    return _table(("head", "description", "logits", "source"), rows)


TABLES = {
    "heads": _heads,
    "kin": _kin,
    "kin_verdicts": _kin_verdicts,
    "facts": _facts,
    "methods": _methods,
    "settings": _settings,
    "ansatze": _ansatze,
    "tasks": _tasks,
    "figures": _figures,
    "command": _command,
}
