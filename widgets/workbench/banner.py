"""A sentence on progress or errors, with a link to each field that must change.

Receives sentences and fields; checks nothing itself.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ..kit import controls, styles
from ..kit.closing import put


class Fault(NamedTuple):
    """An error in one sentence, and the control to change, if there is one."""

    sentence: str
    control: controls.Element | None = None


class Banner(controls.Box):
    """A banner with `banner.say(sentence)` and `banner.refuse([Fault(sentence, control)])`.

    Args:
        go: Called with the control of a fault that was clicked.
        announce: Called with the displayed text, for a screen reader.

    Example:
        >>> banner = Banner(go=print, announce=print)
        >>> banner.say("Checking …")
        Checking …
    """

    def __init__(self, go: Callable[[controls.Element], None], announce: Callable[[str], None]):
        self.go, self.announce = go, announce
        self.text = styles.text("", "qtha-banner")
        self.links = styles.column(css="qtha-faults")
        super().__init__([self.text, self.links], classes=("qtha-news",))
        self._show([])

    @property
    def sentence(self) -> str:
        """The displayed text."""
        return self.shown

    @property
    def refusing(self) -> bool:
        """True if the banner shows errors."""
        return "qtha-wrong" in self.text.classes

    def say(self, sentence: str) -> None:
        """Show a sentence; an empty one hides the text."""
        styles.mark_wrong(self.text, False)
        self._show([sentence] if sentence else [])

    def refuse(self, faults: Iterable[Fault]) -> None:
        """Show all errors, as buttons that lead to the controls."""
        faults = list(faults)
        elsewhere = [fault.sentence for fault in faults if fault.control is None]
        styles.mark_wrong(self.text, True)
        self._show(elsewhere or ["Change first:"], [f for f in faults if f.control])

    def _show(self, sentences: list[str], faults: Iterable[Fault] = ()) -> None:
        self.shown = " ".join(sentences)
        self.text.value = styles.lines(sentences)
        self.text.visible = bool(sentences)
        put(self.links, [self._link(f.sentence, f.control) for f in faults if f.control])
        self.announce(" ".join([*sentences, *(fault.sentence for fault in faults)]))

    def _link(self, sentence: str, control: controls.Element) -> controls.Button:
        link = controls.Button(description=sentence, icon="arrow-up", tooltip="Go to this field")
        link.on_click(lambda _: self.go(control))
        return link
