"""A fold: a button that shows and hides what is below it.

ipywidgets' Accordion cannot be reached by keyboard; this is a native button. The page itself opens and shuts it, by a
rule of the panel's style sheet, so that it does so at once beside a busy kernel, and never from under what is being typed.
"""

import ipywidgets as ipw

from . import styles as styles


class Fold(ipw.VBox):
    """Parts under a button with a title, reached by Tab and opened by Enter or Space.

    Args:
        beside: Controls in the line of the button, always shown.
        more: Whether it is a lesser one, inside another.

    Example:
        >>> fold = Fold("Training", styles.text("…"))
        >>> fold.unfolded = True
        >>> fold.button.value
        True
    """

    def __init__(self, title: str, *parts: ipw.Widget, beside=(), unfolded=False, more=False):
        self.button = ipw.ToggleButton(unfolded, description=title)
        self.body = styles.column(*parts, css="qtha-folded")
        tools = [ipw.HBox(beside)] if beside else []
        head = ipw.HBox([self.button, *tools]).add_class("qtha-fold-head")
        super().__init__([head, self.body])
        self.add_class("qtha-fold")
        if more:
            self.add_class("qtha-more")

    @property
    def title(self) -> str:
        """What stands on the button."""
        return self.button.description

    @title.setter
    def title(self, title: str) -> None:
        self.button.description = title

    @property
    def unfolded(self) -> bool:
        """Whether its parts are shown."""
        return self.button.value

    @unfolded.setter
    def unfolded(self, unfolded: bool) -> None:
        self.button.value = unfolded


def reveal(control: ipw.Widget, within: ipw.Widget) -> bool:
    """Open every fold on the way to a control; tell whether it is in there."""
    inside = within is control or any(
        reveal(control, part) for part in getattr(within, "children", ())
    )
    if inside and isinstance(within, Fold):
        within.unfolded = True
    return inside
