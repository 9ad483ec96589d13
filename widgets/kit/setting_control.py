"""The ipywidgets control of a declared setting: type, limits, unit, help and choices.

Every form and explorer takes its controls from here. This module names no setting.
"""

import html
import logging
import re
from collections.abc import Callable, Iterable
from typing import Any

import ipywidgets as ipw
import traitlets

from qtha_lab.core import call_syntax
from qtha_lab.core.settings import Setting

from . import boxes
from .boxes import classed, layout, mark_wrong, put, styled, text

log = logging.getLogger(__name__)

UNSET = "not set"
SLIDERS, SLIDER_WIDTH = (ipw.IntSlider, ipw.FloatSlider, ipw.SelectionSlider), "280px"
WORDS = {
    "n": "number of", "dim": "dimension", "dims": "dimensions", "init": "initialisation",
    "max": "maximum", "eval": "evaluation", "lr": "learning rate", "seq": "sequence",
    "distil": "distillation", "grad": "gradient", "norm": "norm",
}  # fmt: skip


def setting_control(
    declared: Setting,
    value: Any = None,
    label: str = "",
    known: Iterable[str] = (),
    typed: bool = False,
    slider: bool = False,
    write: Callable[[Any], str] = str,
) -> Any:
    """Return the control of a setting; `read_entry` converts its value.

    Args:
        declared: Declaration of the setting.
        value: Initial value; default that of the declaration.
        label: Label; default the name in words.
        known: Names to pick from, for a setting that also takes a path or an id.
        typed: True if a number is typed as text, such as `1e-3` or `0.001, 0.003`.
        slider: True for a slider where limits or choices allow one.
        write: Formats a choice.

    Example:
        >>> control = setting_control(Setting("r", int, 4, "Bottleneck.", ge=1, le=16))
        >>> type(control).__name__, control.description, control.tooltip
        ('BoundedIntText', 'r', 'Bottleneck. (at least 1, at most 16)')
        >>> setting_control(Setting("steps", int, 10), typed=True).value
        '10'
    """
    value = declared.default if value is None else value
    words, help = label or words_of(declared.name), help_of(declared) or None
    if known:
        control = NamePicker(words, known, help)
    else:
        kind, options = _kind(declared, typed, slider, write)
        width = layout(width=SLIDER_WIDTH if issubclass(kind, SLIDERS) else "auto")
        control = styled(kind, description=words, tooltip=help, layout=width, **options)
    if isinstance(control, ipw.Text | NamePicker):
        value = write_entry(value)
    elif declared.with_options and value not in dict(control.options).values():
        control.options = (*control.options, (str(value), value))
    control.value = "" if value is None else value
    return classed(control, "qtha-setting")


def _kind(
    declared: Setting, typed: bool, slider: bool, write: Callable
) -> tuple[type, dict[str, Any]]:
    """Return class and options of the control of a declaration."""
    limits = {"min": declared.ge, "max": declared.le}
    bounded = None not in limits.values() and not declared.optional
    number = declared.type in (int, float) and not (typed or declared.optional)
    if declared.choices:
        unset = [(UNSET, "")] if declared.optional else []
        options = unset + [(write(choice), choice) for choice in declared.choices]
        return (ipw.SelectionSlider if slider else ipw.Dropdown), {"options": options}
    if declared.type is bool and not declared.optional:
        return ipw.Checkbox, {"indent": False}
    if number and bounded:
        kinds = (ipw.IntSlider, ipw.BoundedIntText, ipw.FloatSlider, ipw.BoundedFloatText)
        return kinds[2 * (declared.type is float) + (not slider)], limits
    if number:
        return (ipw.IntText if declared.type is int else ipw.FloatText), {}
    return ipw.Text, {"placeholder": placeholder(declared), "continuous_update": False}


def placeholder(declared: Setting) -> str:
    """Return the text of an empty field."""
    return "auto" if declared.auto else UNSET if declared.optional else ""


def read_entry(declared: Setting, entry: Any) -> Any:
    """Parse a text entry in the command-line syntax; return other entries unchanged.

    Example:
        >>> read_entry(Setting("steps", int, 10), "1e3")
        1000
        >>> read_entry(Setting("r", int, None, optional=True), "") is None
        True
    """
    if not isinstance(entry, str):
        return entry
    if declared.choices:
        return None if declared.optional and not entry else entry
    entry = entry.strip()
    if declared.type is str and not (declared.optional and not entry):
        return entry
    if not entry and declared.optional:
        return None
    try:
        if declared.type is dict:
            return call_syntax.parse_options(entry)
        if declared.type in (list, tuple):
            return declared.type(map(call_syntax.read_value, call_syntax.split_list(entry)))
    except ValueError as reason:
        log.debug("%s: %s", declared.name, reason)
        return entry
    value = call_syntax.read_value(entry)
    is_whole = declared.type is int and isinstance(value, float) and value.is_integer()
    return int(value) if is_whole else value


def write_entry(value: Any) -> str:
    """Write a value as text that `read_entry` parses."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return call_syntax.write_options(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(call_syntax.write_value, value))
    return value if isinstance(value, str) else call_syntax.write_value(value)


def help_of(declared: Setting) -> str:
    """Return unit, meaning and limits of a setting; None is written as "empty"."""
    limits = {"at least": declared.ge, "above": declared.gt, "at most": declared.le}
    rule = ", ".join(f"{words} {limit:g}" for words, limit in limits.items() if limit is not None)
    unit = f"[{declared.unit}] " if declared.unit else ""
    meaning = re.sub(r"\bNone\b", "empty", declared.help)
    return unit + meaning + (f" ({rule})" if rule else "")


class SettingBox(ipw.VBox):
    """A control with its help behind a `?`, a note and an error.

    Example:
        >>> box = SettingBox(ipw.Text(description="r"), "Bottleneck size.")
        >>> box.ask.value = True
        >>> box.children[1].value
        'Bottleneck size.'
    """

    note, error = traitlets.Unicode(), traitlets.Unicode()

    def __init__(self, control: Any, help: str = ""):
        self.control, self.help = control, html.escape(help)
        ask = f"help on {control.description}"
        self.ask = styled(ipw.ToggleButton, description="?", tooltip=ask, css="qtha-ask")
        self.head = styled(ipw.HBox, [control, self.ask] if self.help else [control])
        super().__init__([self.head], layout=layout())
        classed(self, "qtha-field")
        self.ask.observe(self._arrange, "value")
        self.observe(self._arrange, ["note", "error"])

    def _arrange(self, _change: Any) -> None:
        hint = text(self.help, "qtha-hint") if self.ask.value else None
        note = text(html.escape(self.note), "qtha-setting-note") if self.note else None
        error = text(html.escape(self.error), "qtha-error") if self.error else None
        put(self, [self.head, *filter(None, (hint, note, error))])
        mark_wrong(self, bool(self.error))


def words_of(name: str) -> str:
    """Return the name of a setting in words.

    Example:
        >>> words_of("learning_rate"), words_of("n_qubits"), words_of("eval_every")
        ('learning rate', 'number of qubits', 'evaluate every')
    """
    parts = name.replace("method.", "").replace("task.", "").split("_")
    words = " ".join(WORDS.get(part, part) for part in parts)
    return words.replace("evaluation every", "evaluate every")


OTHER = "other …"


class NamePicker(ipw.VBox):
    """A dropdown of known names; its last entry opens a text field.

    Args:
        description: Label of the control.
        known: Names to pick from.
        tooltip: Help of the setting.

    Example:
        >>> control = NamePicker("model", ["tiny", "minilm"])
        >>> control.value = "a/hub-id"
        >>> control.pick.value, control.entry.value
        ('other …', 'a/hub-id')
    """

    value = traitlets.Unicode()

    def __init__(self, description: str, known: Iterable[str], tooltip: str | None = None):
        self.description, self.known = description, list(known)
        width = {"layout": boxes.layout(width="auto"), "tooltip": tooltip}
        options = [*self.known, OTHER]
        self.pick = boxes.styled(ipw.Dropdown, options=options, description=description, **width)
        self.entry = boxes.styled(
            ipw.Text, description=f"other {description}", continuous_update=False, **width
        )
        super().__init__([self.pick], layout=boxes.layout())  # a box cannot have a tooltip
        for control in (self.pick, self.entry):
            boxes.classed(control, "qtha-setting").observe(self._read, "value")
        self._read()

    def focus(self) -> None:
        """Focus the dropdown, or the text field if it is in use."""
        self.children[-1].focus()

    def _read(self, _change=None) -> None:
        """Copy the picked or typed name to `value`."""
        is_other = self.pick.value == OTHER
        self.children = [self.pick, self.entry] if is_other else [self.pick]
        self.value = self.entry.value.strip() if is_other else self.pick.value

    @traitlets.observe("value")
    def _draw(self, change) -> None:
        """Show a value that was set by code."""
        if change["new"] in self.known:
            self.pick.value = change["new"]
        elif change["new"]:
            self.entry.value, self.pick.value = change["new"], OTHER
