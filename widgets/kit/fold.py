"""A fold: a button that shows and hides the parts below it.

The Accordion of ipywidgets cannot be reached by keyboard; this is a native button. The page opens
and closes the fold by a CSS rule. So it reacts at once while the kernel is busy, and does not
interrupt typing.
"""

import ipywidgets as ipw

from . import styles as styles


class Fold(ipw.VBox):
    """Parts under a titled button, reached by Tab and opened by Enter or Space.

    Args:
        beside: Controls in the line of the button, always shown.
        more: True for a secondary fold inside another fold.

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
        """The text on the button."""
        return self.button.description

    @title.setter
    def title(self, title: str) -> None:
        self.button.description = title

    @property
    def unfolded(self) -> bool:
        """True if the parts are shown."""
        return self.button.value

    @unfolded.setter
    def unfolded(self, unfolded: bool) -> None:
        self.button.value = unfolded


def reveal(control: ipw.Widget, within: ipw.Widget) -> bool:
    """Open every fold that contains a control; return True if the control is inside."""
    inside = within is control or any(
        reveal(control, part) for part in getattr(within, "children", ())
    )
    if inside and isinstance(within, Fold):
        within.unfolded = True
    return inside
