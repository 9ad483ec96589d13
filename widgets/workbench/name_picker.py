"""A control for a name: pick a known name, or type another.

Its single trait is `value`, like every control of a form.
"""

from collections.abc import Iterable

import traitlets

from ..kit import controls
from ..kit.setting_control import words_of

OTHER = "other …"


class NamePicker(controls.Box):
    """A dropdown of known names; its last entry opens a text field.

    Args:
        name: Label of the control.
        known: Names to pick from.
        help: Help of the setting.

    Example:
        >>> control = NamePicker("model", ["tiny", "minilm"])
        >>> control.value = "a/hub-id"
        >>> control.pick.value, control.entry.value
        ('other …', 'a/hub-id')
    """

    value, error, help = traitlets.Unicode(), traitlets.Unicode(), traitlets.Unicode()

    def __init__(self, name: str, known: Iterable[str], help: str = ""):
        self.known = list(known)
        label = words_of(name)
        self.pick = controls.Select([*self.known, OTHER], description=label, code=name, help=help)
        self.entry = controls.TextField(description=f"other {label}", code=name, help=help)
        super().__init__([self.pick, self.entry])
        self.pick.observe(self._read, "value")
        self.entry.observe(self._read, "value")
        self.observe(self._draw, "value")
        self.observe(self._explain, ["error", "help"])
        self._read()

    def focus(self) -> None:
        """Focus the dropdown, or the text field if it is in use."""
        (self.entry if self.pick.value == OTHER else self.pick).focus()

    def _read(self, _change=None) -> None:
        """Copy the picked or typed name to `value`."""
        self.entry.visible = bool(self.pick.value == OTHER)
        self.value = self.entry.value.strip() if self.pick.value == OTHER else self.pick.value

    def _explain(self, change) -> None:
        shown = self.entry if self.pick.value == OTHER else self.pick
        setattr(shown, change["name"], change["new"])

    def _draw(self, change) -> None:
        """Show a value that was set by code."""
        if change["new"] in self.known:
            self.pick.value = change["new"]
        elif change["new"]:
            self.entry.value, self.pick.value = change["new"], OTHER
