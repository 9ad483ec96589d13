"""A form drawn from declared settings: one row a setting, with its control, its unit and what it means.

Knows no setting by name. A new one, with its limits and choices, appears by being declared.
"""

import html
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import ipywidgets as ipw

from qtha_lab import calls
from qtha_lab.settings import Setting
from widgets import look
from widgets.one_of import OneOf

UNSET = "not set"


class Field:
    """One setting: a name, a control of the right kind, and its help, or what is wrong with the entry."""

    def __init__(self, declared: Setting, value: Any = None, known: Iterable[str] = ()):
        self.declared = declared
        self.error = ""
        self.control = OneOf(known) if known else _control(declared)
        self.help = look.text(_help(declared), "qtha-said")
        name = html.escape(declared.name)
        self.name = look.text(
            f'<span title="{html.escape(declared.help)}">{name}</span>', "qtha-name"
        )
        self.value = declared.default if value is None else value
        self.control.observe(lambda _: self.check(), "value")

    @property
    def value(self) -> Any:
        """The entry in the type declared; an entry that cannot be read stays text."""
        return _read(self.declared, self.control.value)

    @value.setter
    def value(self, value: Any) -> None:
        self.control.value = _write(value) if isinstance(self.control, ipw.Text) else value
        self.check()

    def check(self) -> None:
        """Hold the entry against its declaration and say beside it what is wrong."""
        try:
            self.declared.check(self.value)
            self.error = ""
        except ValueError as wrong:
            self.error = str(wrong)
        self.help.value = html.escape(self.error) or _help(self.declared)
        look.mark(self.help, bool(self.error))


class Form:
    """The controls of several settings; show `form.panel`, read `form.values`.

    `known` has names to pick from for settings that also take a path or an id.

    Example:
        >>> from qtha_lab.settings import Setting
        >>> form = Form({"r": Setting("r", int, 8, ge=2)})
        >>> form["r"].value = 1
        >>> form.errors
        {'r': 'r must be at least 2, not 1'}
    """

    def __init__(
        self,
        settings: Mapping[str, Setting],
        values: Mapping[str, Any] | None = None,
        known: Mapping[str, Iterable[str]] | None = None,
    ):
        values, known = values or {}, known or {}
        self.fields = {
            name: Field(declared, values.get(name), known.get(name, ()))
            for name, declared in settings.items()
        }
        rows = [part for f in self.fields.values() for part in (f.name, f.control, f.help)]
        self.panel = ipw.Box(rows)
        self.panel.add_class("qtha-form")

    def __getitem__(self, name: str) -> Field:
        return self.fields[name]

    @property
    def values(self) -> dict[str, Any]:
        """Every setting as entered."""
        return {name: field.value for name, field in self.fields.items()}

    @property
    def changed(self) -> dict[str, Any]:
        """Only the settings that differ from their defaults: what a script would have to write."""
        return {n: f.value for n, f in self.fields.items() if f.value != f.declared.default}

    @property
    def errors(self) -> dict[str, str]:
        """What is wrong, by setting; empty when all is well."""
        return {name: field.error for name, field in self.fields.items() if field.error}

    def observe(self, changed: Callable[[], None]) -> None:
        """Call `changed()` after every entry."""
        for field in self.fields.values():
            field.control.observe(lambda _: changed(), "value")


def _control(declared: Setting) -> ipw.ValueWidget:
    """A drop-down for choices, a box for true or false, a number for a number, else text."""
    if declared.choices:
        options = [(str(choice), choice) for choice in declared.choices]
        return ipw.Dropdown(options=[(UNSET, None), *options] if declared.optional else options)
    if declared.type is bool and not declared.optional:
        return ipw.Checkbox(indent=False)
    if declared.type is int and not declared.optional:
        return ipw.IntText()
    return ipw.Text(placeholder=UNSET if declared.optional else "", continuous_update=False)


def _read(declared: Setting, entry: Any) -> Any:
    """What a text entry means, in the same words as on the command line; other entries as they are."""
    if not isinstance(entry, str) or declared.choices:
        return entry
    entry = entry.strip()
    if declared.type is str and not (declared.optional and not entry):
        return entry
    if not entry and declared.optional:
        return None
    try:
        if declared.type is dict:
            return calls.parse_options(entry)
        if declared.type in (list, tuple):
            return declared.type(map(calls.read_value, calls.split_list(entry)))
    except ValueError:
        return entry
    return calls.read_value(entry)


def _write(value: Any) -> str:
    """The text that `_read` reads back."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return calls.write_options(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(calls.write_value, value))
    return value if isinstance(value, str) else calls.write_value(value)


def _help(declared: Setting) -> str:
    """The unit, what it means, and its limits."""
    limits = {"at least": declared.ge, "above": declared.gt, "at most": declared.le}
    rule = ", ".join(f"{words} {limit:g}" for words, limit in limits.items() if limit is not None)
    unit = f"[{declared.unit}] " if declared.unit else ""
    return html.escape(unit + declared.help + (f" ({rule})" if rule else ""))
