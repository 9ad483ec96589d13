"""A control for a name: pick a known name, or type another.

A `Combobox` of ipywidgets lists only the names that contain its present text.
"""

from collections.abc import Iterable

import ipywidgets as ipw
import traitlets

from . import boxes

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
