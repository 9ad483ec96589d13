"""A trait whose value must be one of the options that its model offers."""

from collections.abc import Callable, Sequence
from typing import Any

import traitlets

from qtha_lab.core.errors import Refusal

MOST_NAMED = 8  # options listed in a refusal


class Choice(traitlets.TraitType):
    """A trait checked against its model's `offers(name)`; a list counts as a tuple.

    Args:
        options: The options; without them the model overrides `offers`.
        label: Label of the control; default the name.
        slider: True if the control is a slider.
        text: Formats an option.
    """

    def __init__(
        self,
        options: Sequence = (),
        label: str = "",
        slider: bool = False,
        text: Callable[[Any], str] = str,
    ):
        super().__init__(None, allow_none=True)
        self.options, self.label, self.slider, self.text = options, label, slider, text

    def validate(self, obj: Any, value: Any) -> Any:
        """Return the value if it is offered.

        Raises:
            Refusal: If it is not offered; the message lists the options.
        """
        value = tuple(value) if isinstance(value, list) else value
        values = values_of(obj.offers(self.name))
        if value in values:
            return value
        named = ", ".join(map(str, values[:MOST_NAMED])) or "nothing yet"
        more = ", …" if len(values) > MOST_NAMED else ""
        raise Refusal(f"{self.name} must be one of {named}{more}, got {value!r}.")


def values_of(offers: Sequence) -> list:
    """Return the values of options, which may be (label, value) pairs as in ipywidgets.

    Example:
        >>> values_of([("all", None), ("16", 16)]), values_of([1, 2])
        ([None, 16], [1, 2])
    """
    return [value for _, value in pairs_of(offers)]


def pairs_of(offers: Sequence, text: Callable[[Any], str] = str) -> list[tuple[str, Any]]:
    """Return options as (label, value) pairs.

    Example:
        >>> pairs_of([("all", None), ("16", 16)]), pairs_of([0.5], "{:.2f}".format)
        ([('all', None), ('16', 16)], [('0.50', 0.5)])
    """
    is_pair = [isinstance(offer, tuple) and isinstance(offer[0], str) for offer in offers]
    return [
        offer if pair else (text(offer), offer) for offer, pair in zip(offers, is_pair, strict=True)
    ]
