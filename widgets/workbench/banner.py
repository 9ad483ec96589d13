"""A sentence on progress or errors, with a link to each field that must change.

Receives sentences and fields; checks nothing itself. Remedies of the command line are replaced by
those of the page.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import ipywidgets as ipw

from ..kit import boxes

REMEDIES = {
    "QTHA_LAB_RUNS sets another.": "Delete runs under Columns, tags, trash, and empty the trash.",
    "Set QTHA_LAB_CACHE to another folder, or cache=false.": "Enter cache=false in its engine.",
    "Set QTHA_LAB_CACHE to another folder.": "Choose another quantization, or free the disk.",
    "train one run at a time (`QTHA_LAB_SLOTS=1`) to compare speed": (
        "set threads under Training to all cores, so that one run trains at a time, to compare "
        "speed"
    ),
}
"""Remedies of the command line, and those of the page."""
MEMORY = re.compile(r"memory must be at least .* largest part is \S+ \S+ for (?P<purpose>[^.]+)\.")
OF_MEMORY = {
    "the model's weights": ("quantization", "Choose a smaller model or int4 as quantization."),
    "the adapter and its optimiser": ("r", "Lower r of the method, or remove its card."),
    "activations": ("batch_size", "Lower the batch size, or the maximum length."),
    "circuits": ("batch_size", "Lower the batch size, or r of the method."),
}
"""By purpose of the memory: the setting to change, and the remedy."""


def in_page_terms(sentence: str) -> str:
    """Return a sentence with remedies that a user of the page can follow.

    Example:
        >>> in_page_terms("The runs folder must be free. QTHA_LAB_RUNS sets another.")
        'The runs folder must be free. Delete runs under Columns, tags, trash, and empty the trash.'
    """
    for advice, remedy in REMEDIES.items():
        sentence = sentence.replace(advice, remedy)
    lacking = OF_MEMORY.get(memory_purpose(sentence))
    return f"{sentence} {lacking[1]}" if lacking and lacking[1] not in sentence else sentence


def memory_purpose(sentence: str) -> str:
    """Return the largest purpose in a refusal for lack of memory; "" for other sentences.

    Example:
        >>> needs = "The free memory must be at least 9 GiB, got 2 GiB."
        >>> memory_purpose(f"{needs} The largest part is 8 GiB for activations.")
        'activations'
    """
    found = MEMORY.search(sentence)
    return found["purpose"] if found else ""


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
        self.text.value = boxes.lines(sentences)
        boxes.show(self.text, bool(sentences))
        boxes.show(self, bool(sentences))
        boxes.put(self.links, [self._link(f.sentence, f.control) for f in faults if f.control])
        self.announce(" ".join([*sentences, *(fault.sentence for fault in faults)]))

    def _link(self, sentence: str, control: Any) -> ipw.Button:
        link = boxes.button(sentence, icon="arrow-up", tooltip="Go to this field")
        link.on_click(lambda _: self.go(control))
        return link
