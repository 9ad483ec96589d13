"""For a screen reader: news said as they come, and names and roles that ipywidgets does not give; and where to look.

Shows nothing. A panel without it works, and says less.
"""

import anywidget
import traitlets

from .page_module import page_module


class Aria(anywidget.AnyWidget):
    """Put one into a panel; `aria.say(sentence)` is read aloud."""

    _esm = page_module("aria.js")
    sentence = traitlets.Unicode().tag(sync=True)

    def say(self, sentence: str) -> None:
        """Have a sentence read when the reader is idle."""
        self.sentence = sentence

    def bring(self, css: str) -> None:
        """Have the first part of a class brought into sight, for an eye as for a reader."""
        self.send({"css": css})
