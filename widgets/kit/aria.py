"""Announcements, roles and names for screen readers that ipywidgets does not provide.

The widget is invisible. It also scrolls parts of a panel into view. A panel works without it.
"""

import anywidget
import traitlets

from .page_module import page_module


class Aria(anywidget.AnyWidget):
    """An invisible part of a panel; `aria.say(sentence)` is read aloud by a screen reader."""

    _esm = page_module("aria.js")
    sentence = traitlets.Unicode().tag(sync=True)

    def say(self, sentence: str) -> None:
        """Have a screen reader read a sentence when it is idle."""
        self.sentence = sentence

    def bring(self, css: str) -> None:
        """Scroll the first element of a CSS class into view, also for screen readers."""
        self.send({"css": css})
