"""A control for a name that is usually one of a few: pick one, or type another.

Has the one trait `value`, as every control of a form.
"""

from collections.abc import Iterable

import ipywidgets as ipw
import traitlets

OTHER = "other …"


class OneOf(ipw.VBox):
    """A drop-down of known names; its last entry opens a text field.

    Example:
        >>> control = OneOf("model", ["tiny", "minilm"])
        >>> control.value = "a/hub-id"
        >>> control.pick.value, control.entry.value
        ('other …', 'a/hub-id')
    """

    value = traitlets.Unicode()

    def __init__(self, name: str, known: Iterable[str], help: str = ""):
        self.known = list(known)
        self.pick = ipw.Dropdown(options=[*self.known, OTHER], description=name, tooltip=help)
        self.entry = ipw.Text(description="path or id", continuous_update=False, tooltip=help)
        super().__init__([self.pick, self.entry])
        self.pick.observe(self._picked, "value")
        self.entry.observe(self._picked, "value")
        self.observe(self._draw, "value")
        self._picked()

    def focus(self) -> None:
        """Go to the part that was used."""
        (self.entry if self.pick.value == OTHER else self.pick).focus()

    def _picked(self, _change=None) -> None:
        """The reader has chosen or typed."""
        self.entry.layout.display = "" if self.pick.value == OTHER else "none"
        self.value = self.entry.value.strip() if self.pick.value == OTHER else self.pick.value

    def _draw(self, change) -> None:
        """The value was set from code."""
        if change["new"] in self.known:
            self.pick.value = change["new"]
        elif change["new"]:
            self.entry.value, self.pick.value = change["new"], OTHER
