"""How a method is drawn: one colour, dash and symbol, stated where the method is defined.

`@method(look=Look("blue", "solid", "circle"))` enters it here, and every figure reads it. A method
without one is styled by its name. Draws nothing.
"""

from typing import NamedTuple

from qtha_lab.errors import Refusal
from qtha_lab.registry import Registry

# Told apart by people with deuteranopia and protanopia, and at least 3:1 against white and near-black
# (a test measures both). Source: after Okabe and Ito 2008, light ones darkened, orange left out.
COLORS = {
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "green": "#009E73",
    "pink": "#CC79A7",
    "sky": "#3A9BDC",
    "grey": "#767676",
}
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "pentagon", "star")


class Look(NamedTuple):
    """The name of a colour, a dash and a symbol.

    Example:
        >>> Look("blue", "solid", "circle").color
        'blue'
    """

    color: str
    dash: str
    symbol: str


LOOKS: Registry[Look] = Registry("look", "qtha_lab.adapters")


def check_look(name: str, look: Look) -> None:
    """Refuse a look that no figure can draw.

    Raises:
        Refusal: If the colour, dash or symbol is none of ours.
    """
    for part, value, choices in (
        ("color", look.color, COLORS),
        ("dash", look.dash, DASHES),
        ("symbol", look.symbol, SYMBOLS),
    ):
        if value not in choices:
            raise Refusal(
                f"the {part} of method {name!r} must be one of {', '.join(choices)}, not {value!r}"
            )
