"""Boxes and texts of ipywidgets in the classes of `style_sheet.css`, with shared layouts.

Nothing here has front-end code of its own.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import ipywidgets as ipw

from . import styles
from .guard import ErrorLine


@functools.lru_cache(maxsize=32)
def _layout(options: tuple[tuple[str, str], ...]) -> list[ipw.Layout]:
    return []


def layout(**options: str) -> ipw.Layout:
    """Return the layout that all widgets with these options share.

    Example:
        >>> layout(width="auto") is layout(width="auto")
        True
    """
    stored = _layout(tuple(sorted(options.items())))
    if not stored or stored[0].comm is None:  # closed with a widget that used it
        stored[:] = [ipw.Layout(**options)]
    return stored[0]


def row(children: Iterable[Any] = ()) -> ipw.HBox:
    """Return widgets side by side, wrapped where the width is exceeded."""
    wrapped = layout(flex_flow="row wrap", align_items="center", grid_gap="2px 12px")
    return ipw.HBox(list(children), layout=wrapped)


def text(value: str = "", css: str = "qtha-text") -> ipw.HTML:
    """Return a piece of HTML; the caller escapes foreign text."""
    return classed(ipw.HTML(value, layout=layout(width="auto")), css)


def classed(widget: Any, *names: str) -> Any:
    """Add classes of the style sheet to a widget, and return it."""
    for name in names:
        widget.add_class(name)
    return widget


def button(description: str, **options: Any) -> ipw.Button:
    """Return a button as wide as its words."""
    return ipw.Button(description=description, layout=layout(width="auto"), **options)


def fold(title: str, content: Callable[[], ipw.Widget], **options: Any) -> ipw.VBox:
    """Return a button that shows and hides a widget, built at the first press.

    A header of an ipywidgets `Accordion` cannot be reached by keyboard.

    Example:
        >>> box = fold("Numbers", lambda: ipw.Label("1, 2"))
        >>> box.children[0].value = True
        >>> box.children[1].children[0].value
        '1, 2'
    """
    switch = ipw.ToggleButton(description=title, layout=layout(width="auto"), **options)
    place = ipw.VBox(layout=ipw.Layout(display="none"))

    def press(change: dict[str, Any]) -> None:
        if change["new"] and not place.children:
            place.children = [content()]
        place.layout.display = "" if change["new"] else "none"

    switch.observe(press, "value")
    return classed(ipw.VBox([switch, place]), "qtha-fold")


class ErrorText(ErrorLine):
    """The error of the last callback as a text widget, hidden without an error."""

    def __init__(self):
        self.panel = classed(ipw.HTML(layout=ipw.Layout(display="none")), "qtha-error")
        self.text = ""

    def show(self, sentence: str) -> None:
        """Show a sentence; an empty string hides the line."""
        self.text, self.panel.value = sentence, styles.lines([sentence])
        self.panel.layout.display = "" if sentence else "none"


def show_options(control: Any, options: Sequence) -> None:
    """Set different options of a control; equal ones would reset its value."""
    if tuple(control.options) != tuple(options):
        control.options = options
