"""One sentence about what happens or what is wrong, and the way to each field that must change.

Takes sentences and fields; finds out nothing.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import ipywidgets as ipw

from ..kit import styles as styles
from ..kit.closing import put


class Fault(NamedTuple):
    """What is wrong, in one sentence, and the control to change, where there is one."""

    sentence: str
    control: ipw.DOMWidget | None = None


class Banner(ipw.VBox):
    """Show it; `banner.say(sentence)`, `banner.refuse([Fault(sentence, control)])`.

    Args:
        go: Called with the control of a fault that was clicked.
        announce: Called with everything shown, to have it read aloud.

    Example:
        >>> banner = Banner(go=print, announce=print)
        >>> banner.say("Checking …")
        Checking …
    """

    def __init__(self, go: Callable[[ipw.DOMWidget], None], announce: Callable[[str], None]):
        self.go, self.announce = go, announce
        self.text = styles.text("", "qtha-banner")
        self.links = styles.column(css="qtha-faults")
        super().__init__([self.text, self.links])
        self._show([])

    @property
    def refusing(self) -> bool:
        """Whether it says that something is wrong."""
        return "qtha-wrong" in self.text._dom_classes

    def say(self, sentence: str) -> None:
        """Show a sentence; with none, take no room."""
        styles.mark(self.text, False)
        self._show([sentence] if sentence else [])

    def refuse(self, faults: Iterable[Fault]) -> None:
        """Show all that is wrong, as buttons that lead to the controls."""
        faults = list(faults)
        elsewhere = [fault.sentence for fault in faults if fault.control is None]
        styles.mark(self.text, True)
        self._show(elsewhere or ["To be changed first:"], [f for f in faults if f.control])

    def _show(self, sentences: list[str], faults: Iterable[Fault] = ()) -> None:
        self.text.value = styles.lines(sentences)
        self.text.layout.display = "" if sentences else "none"
        put(self.links, [self._link(f.sentence, f.control) for f in faults if f.control])
        self.announce(" ".join([*sentences, *(fault.sentence for fault in faults)]))

    def _link(self, sentence: str, control: ipw.DOMWidget) -> ipw.Button:
        link = ipw.Button(description=sentence, icon="arrow-up", tooltip="Go to this field")
        link.on_click(lambda _: self.go(control))
        return link
