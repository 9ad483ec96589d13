"""A trait whose value must be one of the options that its panel offers."""

from collections.abc import Sequence
from typing import Any

import traitlets

from qtha_lab.core.errors import Refusal

MOST_NAMED = 8  # options listed in a refusal


class Choice(traitlets.TraitType):
    """A trait checked against its panel's `offers(name)`; a list counts as a tuple."""

    def __init__(self, default: Any = None):
        super().__init__(default, allow_none=True)

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
    pairs = [isinstance(offer, tuple) and isinstance(offer[0], str) for offer in offers]
    return [offer[1] if pair else offer for offer, pair in zip(offers, pairs, strict=True)]
