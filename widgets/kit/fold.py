"""A fold: a button that shows and hides what is below it.

A header of an ipywidgets `Accordion` takes no buttons beside it, and holds its content built.
"""

import html
from collections.abc import Callable, Iterable
from typing import Any

import ipywidgets as ipw
import traitlets

from . import boxes


class Fold(ipw.VBox):
    """A titled button over content that is built when the fold is first opened.

    Args:
        title: Text on the button.
        content: Widgets, or a function that builds one.
        beside: Controls in the line of the button, always shown.
        unfolded: True if the fold is open.
        more: True for a secondary fold inside another fold.

    Example:
        >>> fold = Fold("Numbers", lambda: ipw.Label("1, 2"))
        >>> fold.unfolded = True
        >>> fold.place.children[0].value
        '1, 2'
    """

    title, note, dot = traitlets.Unicode(), traitlets.Unicode(), traitlets.Unicode()
    unfolded = traitlets.Bool(False)

    def __init__(
        self,
        title: str,
        *content: ipw.Widget | Callable[[], ipw.Widget],
        beside: Iterable[Any] = (),
        unfolded: bool = False,
        more: bool = False,
    ):
        self.content = content
        self.switch = boxes.styled(ipw.ToggleButton, css="qtha-fold-button")
        self.words: dict[str, ipw.HTML] = {}
        self.head = boxes.styled(ipw.HBox, [self.switch, *beside], css="qtha-fold-line")
        self.place = boxes.column(css="qtha-folded")
        boxes.show(self.place, False)
        super().__init__([self.head, self.place], layout=boxes.layout())
        boxes.classed(self, "qtha-fold", *(["qtha-more"] if more else []))
        traitlets.link((self, "unfolded"), (self.switch, "value"))
        traitlets.link((self, "title"), (self.switch, "description"))
        self.title, self.unfolded = title, unfolded

    def build(self) -> None:
        """Build the content, once."""
        if not self.place.children:
            self.place.children = [
                part if isinstance(part, ipw.Widget) else part() for part in self.content
            ]

    @traitlets.observe("unfolded")
    def _fold(self, change: Any) -> None:
        if change["new"]:
            self.build()
        boxes.show(self.place, change["new"])
        boxes.flag(self, "qtha-unfolded", change["new"])

    @traitlets.observe("note", "dot")
    def _write(self, change: Any) -> None:
        """Show the note after the title, or the HTML of the dot before it."""
        name, text = change["name"], change["new"]
        if name not in self.words:  # built with the first text
            words = self.words[name] = boxes.text("", f"qtha-fold-{name}")
            place = self.head.children.index(self.switch) + (name == "note")
            before, after = self.head.children[:place], self.head.children[place:]
            self.head.children = (*before, words, *after)
        self.words[name].value = html.escape(text) if name == "note" else text
