"""A search field for methods and settings, which goes to the match.

Independent of settings; the searchable names are passed in.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import ipywidgets as ipw

from qtha_lab.core.io import shortened

from ..kit import boxes
from .form import Form
from .method_card import MethodCard

MOST_SHOWN = 24  # characters of a search without a match


class Finder(ipw.VBox):
    """A combobox to type part of a name, or to pick one.

    Args:
        places: Returns all searchable fields and cards, by name.
        go: Called with the field or card that was found.

    Example:
        >>> places = {"r of lora": ipw.Text(description="r")}
        >>> finder = Finder(lambda: places, lambda field: print(field.description))
        >>> finder.entry.value = "lora"
        r
    """

    def __init__(self, places: Callable[[], Mapping[str, Any]], go: Callable[[Any], None]):
        self.places, self.go, self.error = places, go, ""
        self.entry = boxes.styled(
            ipw.Combobox,
            description="find",
            placeholder="method or setting",
            tooltip="Go to a method or a setting",
            continuous_update=False,
            css="qtha-setting",
        )
        self.line = boxes.ErrorText()
        super().__init__([self.entry, self.line.panel], layout=boxes.layout())
        self.entry.observe(lambda change: self._find(change["new"]), "value")

    def offer(self) -> None:
        """Update the offered names."""
        self.entry.options = tuple(self.places())

    def _find(self, text: str) -> None:
        """Go to the field or card that best matches the text, or report that none matches.

        An exact name comes first, then a name that begins with the text, then one that contains it.
        A label on the page counts as a name. Spaces and underscores are equal.
        """
        words = _plain(text)
        self._report("")
        if not words:
            return
        named = [(_names(*place), place[1]) for place in self.places().items()]
        hits = [hit for hit in named if any(words in name for name in hit[0])]
        if not hits:
            self._report(
                f"No setting matches {shortened(text.strip(), MOST_SHOWN)!r}. Write a part of its "
                "name, such as rate."
            )
            return
        self.entry.value = ""
        self.go(min(hits, key=lambda hit: _rank(words, hit[0]))[1])

    def _report(self, error: str) -> None:
        self.error = error
        self.line.show(error)


def searchable_places(cards: Iterable[MethodCard], forms: Mapping[str, Form]) -> dict[str, Any]:
    """Return the cards and all fields, by search text.

    Args:
        cards: Cards of the methods.
        forms: Further forms, by the words that follow the name of a setting.
    """
    cards = list(cards)
    forms = {f" of {card.title}": card.form for card in cards} | dict(forms)
    places: dict[str, Any] = {card.title: card for card in cards}
    for words, form in forms.items():
        places |= {f"{name}{words}": field for name, field in form.fields.items()}
    return places


def _names(name: str, place: Any) -> tuple[str, str]:
    """Return the name of a place and its label on the page, for comparison."""
    return _plain(name), _plain(getattr(place, "description", ""))


def _rank(words: str, names: tuple[str, ...]) -> int:
    """Return 0 for an exact name, 1 for one that begins with the words, else 2."""
    return 0 if words in names else 1 if any(n.startswith(words) for n in names) else 2


def _plain(text: str) -> str:
    return text.strip().lower().replace("_", " ")
