"""A search field for methods and settings, which goes to the match.

Independent of settings; the searchable names are passed in.
"""

from collections.abc import Callable, Mapping

from ..kit import controls as ui


class Finder(ui.TextField):
    """A combobox to type part of a name, or to pick one.

    Args:
        places: Returns all searchable controls, by name.
        go: Called with the control that was found.

    Example:
        >>> places = {"r of lora": ui.TextField(description="r")}
        >>> finder = Finder(lambda: places, lambda control: print(control.description))
        >>> finder.value = "lora"
        r
    """

    def __init__(
        self,
        places: Callable[[], Mapping[str, ui.Element]],
        go: Callable[[ui.Element], None],
    ):
        self.places, self.go = places, go
        super().__init__(
            description="find",
            placeholder="a method or a setting",
            tooltip="Go to a method or a setting",
        )
        self.add_class("qtha-find")
        self.observe(lambda change: self._find(change["new"]), "value")

    def offer(self) -> None:
        """Update the offered names."""
        self.options = tuple(self.places())

    def _find(self, text: str) -> None:
        """Go to the best match of the text.

        An exact name comes first, then a name that begins with the text, then one that contains it.
        """
        words = text.strip().lower()
        if not words:
            return
        places = {name.lower(): control for name, control in self.places().items()}
        ranked = sorted((n for n in places if words in n), key=lambda n: not n.startswith(words))
        self.value = ""
        if ranked:
            self.go(places[words] if words in places else places[ranked[0]])
