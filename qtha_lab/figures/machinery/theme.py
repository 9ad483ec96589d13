"""Plot styles and templates of all figures: one colour, dash and symbol per method.

A method has the same style in every figure. Draws nothing.
"""

import re
import zlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from qtha_lab.core.errors import Refusal
from qtha_lab.core.method_styles import COLORS, DASHES, SYMBOLS, method_style_of, untitled

BLUE, VERMILLION, GREEN, PINK, SKY, GREY = COLORS.values()


def method_of(label: str) -> str:
    """Return the method of a label.

    Example:
        >>> method_of("qtha(r=4)")
        'qtha'
    """
    return label.split("(", 1)[0].strip().lower()


def method_style(label: str) -> dict[str, str]:
    """Return colour, dash and symbol of a method.

    Options in the label change the dash and symbol only.

    Example:
        >>> method_style("qtha")
        {'color': '#0072B2', 'dash': 'solid', 'symbol': 'circle'}
        >>> method_style("qtha(r=4)")["color"] == method_style("qtha")["color"]
        True
    """
    label = untitled(label)
    name = method_of(label)
    page_style = method_style_of(name)
    color, dash, symbol = (
        (COLORS[page_style.color], *page_style[1:]) if page_style else _from_name(name)
    )
    if "(" in label:
        _, dash, symbol = _from_name(
            label.replace(" ", ""), avoid=("solid", "dash", "longdash", dash)
        )
    return {"color": color, "dash": dash, "symbol": symbol}


def distinct_styles(labels: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return distinct styles of labels.

    Where two styles would be the same, the later label gets another symbol and dash.

    Example:
        >>> styles = distinct_styles(["qtha", "lora"])
        >>> styles["lora"] == method_style("lora")
        True
    """
    styles: dict[str, dict[str, str]] = {}
    for label in dict.fromkeys(labels):
        style = method_style(label)
        alike = [other for other in styles.values() if other["color"] == style["color"]]
        for part, offers in (("symbol", SYMBOLS), ("dash", DASHES)):
            others = {other[part] for other in alike}
            free = [offer for offer in (style[part], *offers) if offer not in others]
            style = {**style, part: free[0] if free else style[part]}
        styles[label] = style
    return styles


def _from_name(text: str, avoid: tuple[str, ...] = ()) -> tuple[str, str, str]:
    """Return a style that depends on the spelling only, equal in every process."""
    number = zlib.crc32(text.encode())
    colors = (GREEN, PINK, SKY, GREY)
    dashes = [dash for dash in DASHES if dash not in avoid]
    number, color = divmod(number, len(colors))
    number, dash = divmod(number, len(dashes))
    return colors[color], dashes[dash], SYMBOLS[number % len(SYMBOLS)]


def faint(color: str, opacity: float = 0.2) -> str:
    """Return the colour with an opacity.

    Example:
        >>> faint("#0072B2")
        'rgba(0,114,178,0.2)'
    """
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def mix(color: str, paper: str, share: float) -> str:
    """Return the opaque colour of a transparent colour on paper.

    Args:
        color: Colour as `#rrggbb`.
        paper: Background colour as `#rrggbb`.
        share: Opacity of the colour, 0 to 1.

    Example:
        >>> mix("#000000", "#ffffff", 0.2)
        '#cccccc'
    """
    pairs = ((int(color[i : i + 2], 16), int(paper[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)


class Inks(NamedTuple):
    """Colours of text and axes, of grid lines, and of the paper."""

    text: str
    grid: str
    paper: str


INKS = {
    "light": Inks("#1f2328", "#d9dde3", "#ffffff"),
    "dark": Inks("#e6e8eb", "#3b4048", "#111111"),
    "page": Inks(GREY, "rgba(128,128,128,0.25)", "rgba(0,0,0,0)"),
}


def inks(theme: str) -> Inks:
    """Return the colours of a theme.

    Raises:
        ValueError: If there is no such theme.
    """
    if theme not in INKS:
        raise Refusal(f"theme must be one of {', '.join(INKS)}, got {theme!r}.")
    return INKS[theme]


def template(theme: str = "light") -> go.layout.Template:
    """Return the plotly template of a theme.

    Themes are `"light"`, `"dark"` and `"page"`. `"page"` has no background, and a text colour
    readable on both others.

    Raises:
        Refusal: If there is no such theme.
    """
    ink, grid, paper = inks(theme)
    axis = {
        "gridcolor": grid,
        "linecolor": ink,
        "showline": True,
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": ink,
        "automargin": True,
        "title": {"standoff": 8},
    }
    return go.layout.Template(
        layout={
            "font": {"family": "Helvetica, Arial, sans-serif", "size": 13, "color": ink},
            "paper_bgcolor": paper,
            "plot_bgcolor": paper,
            "colorway": [BLUE, VERMILLION, GREEN, PINK, SKY, GREY],
            "xaxis": axis,
            "yaxis": axis,
            "legend": {
                "orientation": "h",
                "yanchor": "bottom",
                "y": 1.02,
                "x": 0,
                "xanchor": "left",
            },
            "margin": {"l": 60, "r": 16, "t": 48, "b": 48},
            "hoverlabel": {"namelength": -1},
        }
    )


HEX = re.compile(r"#([0-9a-fA-F]{6})\b")
RGB = re.compile(r"(rgba?)\(\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*")
# Source: Machado, Oliveira and Fernandes 2009, IEEE Trans. Vis. Comput. Graph. 15, 1291, severity
# 1; grey is the luminance of Rec. 709. All act on linear light.
MATRICES = {
    "greyscale": ((0.2126, 0.7152, 0.0722),) * 3,
    "without red cones": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "without green cones": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
}
NORMAL = "in colour"
SIGHTS = (NORMAL, *MATRICES)


def seen(color: str, sight: str) -> str:
    """Return a colour `#rrggbb` as it appears with a colour-vision deficiency.

    Args:
        color: Colour in sRGB.
        sight: One of `SIGHTS`.

    Raises:
        Refusal: If the sight is unknown.

    Example:
        >>> seen("#ff0000", "greyscale"), seen("#ffffff", "without red cones")
        ('#7f7f7f', '#ffffff')
    """
    if sight not in SIGHTS:
        raise Refusal(f"sight must be one of {', '.join(SIGHTS)}, got {sight!r}.")
    if sight == NORMAL:
        return color
    red, green, blue = (int(color[k : k + 2], 16) for k in (1, 3, 5))
    return "#" + "".join(f"{value:02x}" for value in _mapped((red, green, blue), sight))


def all_seen(drawing: Any, sight: str) -> Any:
    """Return plain data with each colour in its texts replaced by `seen`."""
    if isinstance(drawing, dict):
        return {key: all_seen(value, sight) for key, value in drawing.items()}
    if isinstance(drawing, list | tuple):
        return [all_seen(value, sight) for value in drawing]
    if not isinstance(drawing, str) or sight == NORMAL:
        return drawing
    text = HEX.sub(lambda match: seen(match[0], sight), drawing)
    return RGB.sub(_replaced(sight), text)


def _replaced(sight: str) -> Callable[[re.Match], str]:
    def replace(match: re.Match) -> str:
        values = _mapped(tuple(int(match[k]) for k in (2, 3, 4)), sight)
        return f"{match[1]}({', '.join(map(str, values))}"

    return replace


def _mapped(values: tuple[int, ...], sight: str) -> list[int]:
    light = np.array(values) / 255
    linear = np.where(light <= 0.04045, light / 12.92, ((light + 0.055) / 1.055) ** 2.4)
    mixed = np.clip(np.array(MATRICES[sight]) @ linear, 0, 1)
    back = np.where(mixed <= 0.0031308, 12.92 * mixed, 1.055 * mixed ** (1 / 2.4) - 0.055)
    return [round(255 * value) for value in back.tolist()]
