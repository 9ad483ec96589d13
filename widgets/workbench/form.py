"""A form built from declared settings: common ones first, the others folded.

This module names no setting. A new setting, with its limits and choices, appears once declared.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from qtha_lab.core.settings import Setting

from ..kit import controls
from ..kit.styles import column
from .banner import Fault
from .field import Field

WORD = re.compile(r"\w+")


class Form:
    """The controls of several settings; show `form.panel`, read `form.values`.

    Args:
        settings: Settings by name; if some are `common`, the others are folded.
        values: Initial values, else the defaults.
        known: Names to pick from, for settings that also take a path or an id.
        sweepable: True if number fields also read several values.

    Example:
        >>> from qtha_lab.core.settings import Setting
        >>> form = Form({"r": Setting("r", int, 8, ge=2)})
        >>> form["r"].value = 1
        >>> form.errors
        {'r': 'r must be at least 2, got 1.'}
    """

    def __init__(
        self,
        settings: Mapping[str, Setting],
        values: Mapping[str, Any] | None = None,
        known: Mapping[str, Iterable[str]] | None = None,
        sweepable: bool = False,
    ):
        values, known = values or {}, known or {}
        self.fields = {
            name: Field(declared, values.get(name), known.get(name, ()), sweepable)
            for name, declared in settings.items()
        }
        first = [f.control for f in self.fields.values() if f.declared.common]
        others = [f.control for f in self.fields.values() if not f.declared.common]
        if first and others:
            more = column(*others, css="qtha-form")
            others = [controls.Fold(f"more settings ({len(others)})", more, more=True)]
        self.panel = column(*first, *others, css="qtha-form")

    def __getitem__(self, name: str) -> Field:
        return self.fields[name]

    @property
    def values(self) -> dict[str, Any]:
        """Every setting as entered."""
        return {name: field.value for name, field in self.fields.items()}

    @property
    def changed(self) -> dict[str, Any]:
        """The settings that differ from their defaults, as a script would set them."""
        return {n: f.value for n, f in self.fields.items() if f.value != f.declared.default}

    @property
    def axes(self) -> dict[str, Any]:
        """The settings with several values, in the format of a sweep."""
        return {n: f.axis.written for n, f in self.fields.items() if f.axis}

    @property
    def errors(self) -> dict[str, str]:
        """The error of each invalid setting; empty if all are valid."""
        return {name: field.error for name, field in self.fields.items() if field.error}

    def faults(self, place: str = "") -> list[Fault]:
        """Return the errors with their controls; `place` names the form."""
        fields = [field for field in self.fields.values() if field.error]
        return [Fault(f"{place}: {f.error}" if place else f.error, f.control) for f in fields]

    def fault(self, sentence: str, place: str = "") -> Fault:
        """Convert a refusal to a fault with the control of the setting named first."""
        named = (self.fields[word] for word in WORD.findall(sentence) if word in self.fields)
        control = next((field.control for field in named), None)
        return Fault(f"{place}: {sentence}" if place else sentence, control)

    def observe(self, changed: Callable[[], None]) -> None:
        """Call `changed()` after every entry."""
        for field in self.fields.values():
            field.control.observe(lambda _: changed(), "value")
