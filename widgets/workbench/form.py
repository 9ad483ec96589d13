"""A form built from declared settings: common ones first, the others folded.

This module names no setting. A new setting, with its limits and choices, appears once declared.
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import ipywidgets as ipw

from qtha_lab.core.settings import Setting

from ..kit import boxes
from ..kit.fold import Fold
from .banner import Fault
from .field import Field

WORD = re.compile(r"\w+")


class Form:
    """Several settings; show `form.panel`, which is built when first used, read `form.values`.

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
        self.more: Fold | None = None
        self.fields = {
            name: Field(declared, values.get(name), known.get(name, ()), sweepable)
            for name, declared in settings.items()
        }

    @functools.cached_property
    def panel(self) -> ipw.VBox:
        """The controls; rarer settings are folded."""
        fields = self.fields.values()
        first = [field.box for field in fields if field.declared.common]
        rest = [field for field in fields if not field.declared.common]
        if not first:
            return _grid(rest)
        grid = boxes.styled(ipw.VBox, first, css="qtha-form")
        if rest:
            self.more = Fold(f"more settings ({len(rest)})", lambda: _grid(rest), more=True)
            grid.children = (*first, self.more)
        return grid

    def reveal(self, field: Any) -> bool:
        """Unfold a field of this form; return False for another field."""
        if not any(field is one for one in self.fields.values()):
            return False
        if self.panel and self.more and not field.declared.common:
            self.more.unfolded = True
        return True

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
        """Return the errors with their fields; `place` names the form."""
        fields = [field for field in self.fields.values() if field.error]
        return [Fault(f"{place}: {f.error}" if place else f.error, f) for f in fields]

    def fault(self, sentence: str, place: str = "") -> Fault:
        """Convert a refusal to a fault with the field of the setting named first."""
        named = (self.fields[word] for word in WORD.findall(sentence) if word in self.fields)
        return Fault(f"{place}: {sentence}" if place else sentence, next(named, None))

    def show_faults(self, faults: Iterable[Fault]) -> None:
        """Mark the fields of faults, and clear the marks of earlier ones."""
        named = {id(fault.control): fault.sentence for fault in faults}
        for field in self.fields.values():
            field.fault = named.get(id(field), "")

    def observe(self, changed: Callable[[], None]) -> None:
        """Call `changed()` after every entry."""
        for field in self.fields.values():
            field.observe(lambda _: changed(), "entry")


def _grid(fields: Iterable[Field]) -> ipw.VBox:
    return boxes.styled(ipw.VBox, [field.box for field in fields], css="qtha-form")
