"""One setting of a form: its entry, its value or error, and its control.

The number field of a sweepable setting also reads several values, in the syntax of
`qtha_lab.experiment.axes`. This module names no setting; `widgets.workbench.form` combines several.
"""

import functools
import re
from collections.abc import Iterable
from typing import Any

import traitlets

from qtha_lab.core import call_syntax, fault_log
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened
from qtha_lab.core.settings import Setting
from qtha_lab.experiment.axes import MOST_VALUES, RANGE, Axis

from ..kit.setting_control import (
    SettingBox,
    help_of,
    read_entry,
    setting_control,
    words_of,
    write_entry,
)

DECIMAL_COMMA = re.compile(r"\s*[-+]?[0-9]+,[0-9]+\s*")
THOUSANDS = re.compile(r"\s*[0-9]{1,3}(,[0-9]{3})+\s*")
MOST_COUNTED = 10**9  # of a whole number without a limit of its own
MOST_SHOWN = 8
"""Values of an axis that its help lists; of a longer one the first six and the last two."""


class Field(traitlets.HasTraits):
    """State of one setting; its `control` and its `box` are built when first used.

    Attributes:
        entry: The value of the control, such as the text "1e-3".
        error: The reason why the entry is invalid, or "".
        fault: The reason why the entry does not fit to the others, or "".
        note: The values of a swept setting.

    Args:
        declared: Declaration of the setting.
        value: Initial value; default that of the declaration.
        known: Names to pick from, for a setting that also takes a path or an id.
        sweepable: True if a number may be several, such as `0.001, 0.003` or `1e-4…1e-1 log 5`.

    Example:
        >>> field = Field(Setting("r", int, 8, ge=2))
        >>> field.entry = "1"
        >>> field.error
        'r must be at least 2, got 1.'
    """

    entry = traitlets.Any()
    error, fault, note = traitlets.Unicode(), traitlets.Unicode(), traitlets.Unicode()

    def __init__(
        self,
        declared: Setting,
        value: Any = None,
        known: Iterable[str] = (),
        sweepable: bool = False,
    ):
        self.declared, self.known = declared, tuple(known)
        self.sweepable = sweepable and is_number(declared)
        self.axis: Axis | None = None
        self.description = words_of(declared.name)
        super().__init__()
        self.value = declared.default if value is None else value
        self.check()

    @property
    def value(self) -> Any:
        """The entry in the declared type; the default if swept; text if unreadable."""
        return self.declared.default if self.axis else read_entry(self.declared, self.entry)

    @value.setter
    def value(self, value: Any) -> None:
        if self.is_text:
            self.entry = write_entry(value)
        else:
            self.entry = "" if value is None else value

    @property
    def is_text(self) -> bool:
        """True if the control takes text."""
        is_switch = self.declared.type is bool and not self.declared.optional
        return not (self.declared.choices or is_switch)

    @functools.cached_property
    def control(self) -> Any:
        """The control of the setting, tied to the entry."""
        control = setting_control(self.declared, known=self.known, typed=True)
        self._offer(control)
        traitlets.link((self, "entry"), (control, "value"))
        return control

    @functools.cached_property
    def box(self) -> SettingBox:
        """The control with its help, note and error."""
        box = SettingBox(self.control, help_of(self.declared))
        traitlets.dlink((self, "note"), (box, "note"))
        for name in ("error", "fault"):
            self.observe(lambda _: setattr(box, "error", self.error or self.fault), name)
        box.error = self.error or self.fault
        return box

    def focus(self) -> None:
        """Move the keyboard focus of the page to the control."""
        self.control.focus()

    def _offer(self, control: Any) -> None:
        """Add an entry with options, such as `product(n_layers=2)`, to the choices."""
        values = dict(getattr(control, "options", ())).values() if self.declared.choices else ()
        if self.declared.with_options and self.entry not in values:
            control.options = (*control.options, (str(self.entry), self.entry))

    @traitlets.observe("entry")
    def _entered(self, _change: Any) -> None:
        if "control" in self.__dict__:
            self._offer(self.control)
        self.check()

    def check(self) -> None:
        """Check the entry against its declaration, and show the error beside it."""
        self.axis = None
        try:
            self._check_commas()
            axis = self._several()
            for value in axis.listed or axis.ends() if axis else [self.value]:
                self._check_written(value)
                self.declared.check(value)
            self.axis, error = axis, ""
        except Exception as fault:
            error = self._in_words(fault_log.fault_sentence(fault))
        self.error, self.note = error, _swept(self.axis) if self.axis else ""

    def _in_words(self, sentence: str) -> str:
        """Return a sentence with the label of the field for the name of the setting."""
        name = self.declared.name
        of_name = sentence.startswith((f"{name} ", f"{name}: "))
        return words_of(name) + sentence.removeprefix(name) if of_name else sentence

    def _check_commas(self) -> None:
        """Refuse a decimal comma and thousands separators, which would read as several values."""
        entry, name = self.entry, words_of(self.declared.name)
        if not isinstance(entry, str):
            return
        if self.declared.type is float and DECIMAL_COMMA.fullmatch(entry):
            point, two = entry.strip().replace(",", "."), entry.strip().replace(",", ", ")
            is_fraction = entry.strip().lstrip("+-").startswith("0")
            several = "" if is_fraction else f", or {two} for two values"
            raise Refusal(
                f"{name} must have a decimal point, got {entry.strip()}. Write {point}{several}."
            )
        if self.declared.type is int and THOUSANDS.fullmatch(entry):
            digits = entry.strip().replace(",", "")
            raise Refusal(f"{name} must be digits alone, got {entry.strip()}. Write {digits}.")

    def _check_written(self, value: Any) -> None:
        is_count = isinstance(value, int) and "seed" not in self.declared.name
        if is_count and self.declared.le is None and value > MOST_COUNTED:
            raise Refusal(
                f"{self.declared.name} must be at most {MOST_COUNTED:,}, got "
                f"{shortened(value, 20)}."
            )
        if self.declared.type is dict and isinstance(value, str):
            raise Refusal(
                f"{self.declared.name} must have the form name=value, name=value, got "
                f"{value!r:.80}."
            )

    def _several(self) -> Axis | None:
        """Return the axis of an entry with several values, or None."""
        entry = self.entry if self.sweepable else None
        if not isinstance(entry, str) or not (RANGE.fullmatch(entry) or "," in entry):
            return None
        try:
            axis = Axis.of(entry)
        except Refusal as refused:
            raise Refusal(f"{self.declared.name}: {refused}") from None
        return None if len(axis.listed) == 1 else axis


def is_number(declared: Setting) -> bool:
    """Return True if a setting is entered as a number and may be swept."""
    return declared.type in (int, float) and not declared.choices


def _swept(axis: Axis) -> str:
    """Describe an axis: the number of values, and the first and last of them."""
    if axis.size is None:
        return f"swept: any value from {axis.low:g} to {axis.high:g}"
    if axis.size > MOST_VALUES:
        return (
            f"swept: any of {axis.size:,} whole numbers from {axis.low} to {axis.high}; "
            f"a grid takes at most {MOST_VALUES:,}"
        )
    values = list(map(call_syntax.write_value, axis.grid()))
    if len(values) > MOST_SHOWN:
        values = [*values[: MOST_SHOWN - 2], "…", *values[-2:]]
    return f"swept: {axis.size:,} values, {', '.join(map(shortened, values))}"
