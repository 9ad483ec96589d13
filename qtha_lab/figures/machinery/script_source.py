"""Values as the source of a matplotlib script: numbers, colours, dashes and words."""

import math
import re
from collections.abc import Iterable, Sequence
from html import unescape
from typing import Any

from qtha_lab.figures.machinery import legends


def each(value: Any, count: int) -> list[Any]:
    """A value for each of so many, where one may stand for all."""
    return list(value) if isinstance(value, list | tuple) else [value] * count


def numbers(values: Iterable[Any]) -> str:
    """Values as Python writes them; what is missing is nan."""
    return "[" + ", ".join(number(value) for value in values) + "]"


def number(value: Any) -> str:
    """A value as Python writes it."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return 'float("nan")'
    return f"{value:.7g}" if isinstance(value, float) else repr(value)


def keywords(options: dict[str, Any]) -> str:
    """Arguments by name, their values as source."""
    return ", ".join(f"{name}={value}" for name, value in options.items())


def color(color: Any) -> str:
    """A colour as matplotlib takes it, as source."""
    match = re.fullmatch(r"rgba?\(([^)]*)\)", str(color))
    if not match:
        return repr(color)
    red, green, blue, *alpha = (float(part) for part in match[1].split(","))
    parts = [round(part / 255, 4) for part in (red, green, blue)] + [round(a, 4) for a in alpha]
    return f"({', '.join(map(str, parts))})"


def on_scale(values: Sequence[float], marker: dict[str, Any]) -> list[str]:
    """The colour of each value on the scale of its marks."""
    from plotly.colors import sample_colorscale

    low, high = marker.get("cmin", min(values)), marker.get("cmax", max(values))
    span = (high - low) or 1.0
    shares = [min(1.0, max(0.0, (value - low) / span)) for value in values]
    scale = marker.get("colorscale") or "Viridis"
    return [str(color) for color in sample_colorscale(scale, shares)]


def dash(dash: str | None, width: float) -> str:
    """A dash as source: lengths in widths of the line, as matplotlib scales them."""
    if not dash or dash == "solid":
        return '"-"'
    if dash in legends.DASHES:
        return repr((0, legends.DASHES[dash]))
    lengths = [float(part.removesuffix("px")) for part in dash.split(",")]
    return repr((0, tuple(round(length / max(width, 0.1), 3) for length in lengths)))


def words(text: Any) -> str:
    """Text of the page as matplotlib shows it letter by letter."""
    plain_text = re.sub(r"</?(b|i|sub|sup|span|em)[^>]*>", "", str(text).replace("<br>", "\n"))
    return unescape(plain_text).replace("$", r"\$")


def safe(text: str) -> str:
    """Text inside the script's first string."""
    return text.replace("\\", "/").replace('"""', "'''")
