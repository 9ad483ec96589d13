"""A sentence on progress or errors, with a link to each field that must change.

Receives sentences and fields; checks nothing itself.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import ipywidgets as ipw

from ..kit import boxes, styles


class Fault(NamedTuple):
    """An error in one sentence, and the control to change, if there is one."""

    sentence: str
    control: Any = None


class Banner(ipw.VBox):
    """A banner with `banner.say(sentence)` and `banner.refuse([Fault(sentence, control)])`.

    Args:
        go: Called with the control of a fault that was clicked.
        announce: Called with the displayed text, for a screen reader.

    Example:
        >>> banner = Banner(go=print, announce=print)
        >>> banner.say("Checking …")
        Checking …
    """

    def __init__(self, go: Callable[[Any], None], announce: Callable[[str], None]):
        self.go, self.announce = go, announce
        self.text = boxes.text("", "qtha-banner")
        self.links = boxes.styled(ipw.VBox, css="qtha-faults")
        super().__init__([self.text, self.links], layout=boxes.layout())
        self._show([])

    @property
    def sentence(self) -> str:
        """The displayed text."""
        return self.shown

    @property
    def refusing(self) -> bool:
        """True if the banner shows errors."""
        return "qtha-wrong" in self.text._dom_classes

    def say(self, sentence: str) -> None:
        """Show a sentence; an empty one hides the text."""
        boxes.mark_wrong(self.text, False)
        boxes.flag(self, "qtha-news", True)
        self._show([sentence] if sentence else [])

    def refuse(self, faults: Iterable[Fault]) -> None:
        """Show all errors, as buttons that lead to the controls."""
        faults = list(faults)
        elsewhere = [fault.sentence for fault in faults if fault.control is None]
        boxes.mark_wrong(self.text, True)
        boxes.flag(self, "qtha-news", False)
        self._show(elsewhere or ["Change first:"], [f for f in faults if f.control])

    def _show(self, sentences: list[str], faults: Iterable[Fault] = ()) -> None:
        self.shown = " ".join(sentences)
        self.text.value = styles.lines(sentences)
        boxes.show(self.text, bool(sentences))
        boxes.show(self, bool(sentences))
        boxes.put(self.links, [self._link(f.sentence, f.control) for f in faults if f.control])
        self.announce(" ".join([*sentences, *(fault.sentence for fault in faults)]))

    def _link(self, sentence: str, control: Any) -> ipw.Button:
        link = boxes.button(sentence, icon="arrow-up", tooltip="Go to this field")
        link.on_click(lambda _: self.go(control))
        return link
