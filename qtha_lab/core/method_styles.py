"""Plot styles of methods: one colour, dash and symbol, declared with the method.

Every figure uses the style that a method registers here. A method without one is styled by its
name. Draws nothing.
"""

import re
from typing import NamedTuple

from qtha_lab.core.declaration_cache import cached_declarations, is_loaded
from qtha_lab.core.errors import Refusal
from qtha_lab.core.registry import Registry

# Colours that people with deuteranopia and protanopia can distinguish, with a contrast of at least
# 3:1 against white and near-black (a test measures both). Source: after Okabe and Ito 2008, light
# ones darkened, orange omitted.
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


class MethodStyle(NamedTuple):
    """Plot style: the names of a colour, a dash and a symbol.

    Example:
        >>> MethodStyle("blue", "solid", "circle").color
        'blue'
    """

    color: str
    dash: str
    symbol: str


# the end of a label, where `MethodChoice.label` writes the title
TITLE = re.compile(r"[(,]title=(?:'([^']*)'|\"([^\"]*)\"|([^,()'\"]+))\)$")
METHOD_STYLES: Registry[MethodStyle] = Registry("look", "qtha_lab.adapters")


def method_style_of(name: str) -> MethodStyle | None:
    """Return the plot style of a method, from the cache if methods are not loaded.

    Example:
        >>> method_style_of("qtha")
        MethodStyle(color='blue', dash='solid', symbol='circle')
    """
    if is_loaded("qtha_lab.adapters"):
        return METHOD_STYLES.get(name)
    style = cached_method_styles().get(name)
    return None if style is None else MethodStyle(*style)


def cached_method_styles() -> dict[str, list[str]]:
    """Return the plot styles of all methods from the disk cache."""
    return cached_declarations("looks", ("adapters",), _all_styles)


def _all_styles() -> dict[str, MethodStyle]:
    return dict(METHOD_STYLES)


def shown(label: str) -> str:
    """Return the legend text of a label: its title, else the label itself.

    Example:
        >>> shown("lora(r=2,title='small one')"), shown("lora(r=2)")
        ('small one', 'lora(r=2)')
    """
    match = TITLE.search(label)
    return next(filter(None, match.groups()), label) if match else label


def untitled(label: str) -> str:
    """Return the label without its title.

    Example:
        >>> untitled("lora(r=2,title='small one')"), untitled("lora(title=small)")
        ('lora(r=2)', 'lora')
    """
    match = TITLE.search(label)
    return label if match is None else label[: match.start()] + ")" * (match[0][0] == ",")


def check_method_style(name: str, style: MethodStyle) -> None:
    """Refuse a plot style that no figure can draw.

    Raises:
        Refusal: If the colour, dash or symbol is unknown.
    """
    for part, value, choices in (
        ("color", style.color, COLORS),
        ("dash", style.dash, DASHES),
        ("symbol", style.symbol, SYMBOLS),
    ):
        if value not in choices:
            raise Refusal(
                f"The {part} of method {name!r} must be one of {', '.join(choices)}, got {value!r}."
            )
