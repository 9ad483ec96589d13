"""Axes of a static SVG: positions in pixels, ticks and titles.

Supports linear, logarithmic and category axes of a plotly layout.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from html import escape
from typing import Any, cast

import numpy as np

from qtha_lab.figures.machinery import labels

Span = tuple[float, float]
LETTER = 0.55  # the mean width of a letter over its height


class SvgAxis:
    """One axis of a plotly layout, over a span of pixels.

    Args:
        layout: Layout entries of the axis.
        values: All values on the axis: numbers or category names.
        pixels: Pixels of the low end and the high end.
        edge: Margin at both ends, as a fraction of the range, where the layout sets no range.
    """

    def __init__(self, layout: Mapping[str, Any], values: Iterable[Any], pixels: Span, edge: float):
        self.layout, self.values, self.edge = layout, list(values), edge
        low, high = pixels
        self.pixels = (high, low) if layout.get("autorange") == "reversed" else pixels
        named = any(isinstance(value, str) for value in self.values)
        self.kind = layout.get("type") or ("category" if named else "linear")

    @cached_property
    def categories(self) -> dict[Any, int]:
        """Positions of the categories, from 0."""
        names = [*self.layout.get("categoryarray", ()), *self.values]
        return {name: place for place, name in enumerate(dict.fromkeys(names))}

    @cached_property
    def range(self) -> Span:
        """Ends of the axis, as logarithms on a logarithmic axis."""
        if "range" in self.layout:
            low, high = self.layout["range"]
            return float(low), float(high)
        if self.kind == "category":
            return -0.5, max(len(self.categories), 1) - 0.5
        numbers = self.number(self.values)
        numbers = numbers[np.isfinite(numbers)]
        if not len(numbers):
            return 0.0, 1.0
        low, high = float(numbers.min()), float(numbers.max())
        edge = self.edge * (high - low) or 0.5
        to_zero = self.layout.get("rangemode") == "tozero" and low >= 0
        return (0.0 if to_zero else low - edge), high + edge

    def number(self, values: Any) -> np.ndarray:
        """Convert values to axis coordinates: logarithms or category positions.

        A value without a coordinate becomes NaN.
        """
        if self.kind == "category":
            return np.array(
                [self.categories.get(value, math.nan) for value in _many(values)], float
            )
        numbers = np.array([math.nan if v is None else v for v in _many(values)], float)
        if self.kind != "log":
            return numbers
        return np.log10(np.where(numbers > 0, numbers, math.nan))

    def at(self, values: Any) -> np.ndarray:
        """Return the pixels of values."""
        return self._pixel(self.number(values))

    def share(self, shares: Any) -> np.ndarray:
        """Return the pixels of fractions of the span, 0 at its low end."""
        start, end = self.pixels
        return start + np.asarray(shares, float) * (end - start)

    def _pixel(self, numbers: np.ndarray) -> np.ndarray:
        low, high = self.range
        return self.share((numbers - low) / ((high - low) or 1.0))

    @property
    def is_visible(self) -> bool:
        """True if the axis is drawn."""
        return self.layout.get("visible", True)

    @property
    def title(self) -> str:
        """Title of the axis, with its unit."""
        title = self.layout.get("title") or {}
        return title if isinstance(title, str) else title.get("text") or ""

    def ticks(self) -> list[tuple[float, str]]:
        """Return the pixels and labels of the ticks."""
        low, high = sorted(self.range)
        if not self.layout.get("showticklabels", True):
            return []
        if "tickvals" in self.layout:
            values = self.layout["tickvals"]
            words = self.layout.get("ticktext") or [f"{value:g}" for value in values]
        elif self.kind == "category":
            step = max(1, math.ceil(len(self.categories) / self.layout.get("nticks", 12)))
            values = list(self.categories)[::step]
            words = values
        elif self.kind == "log":
            values = labels.between(10**low, 10**high)
            words = [labels.power_of_ten(value) for value in values]
        else:
            space = abs(self.pixels[1] - self.pixels[0])
            most = max(2, min(6, int(space / 46)))
            by_step = [labels.linear(low, high, count) for count in range(most, 2 * most + 1)]
            round_ones = max(
                by_step, key=len
            )  # two powers of ten, where a low panel has no space for three
            ends = round_ones if len(round_ones) > 1 else [low, high]
            values = next((v for v in by_step if len(v) > 2), ends)
            words = [f"{value:g}" for value in values]
        numbers = self.number(values)
        inside = [low - 1e-9 <= number <= high + 1e-9 for number in numbers]
        pairs = zip(self._pixel(numbers), map(str, words), inside, strict=True)
        return [(float(place), word) for place, word, is_visible in pairs if is_visible]


class Pair:
    """Pair of an x axis and a y axis, with the colours of its parts."""

    def __init__(self, x: SvgAxis, y: SvgAxis, ink: str, grid: str, small: float):
        self.x, self.y, self.ink, self.grid, self.small = x, y, ink, grid, small

    def draw(self) -> list[str]:
        """Draw the grid, lines, ticks and titles behind the traces."""
        (left, right), (bottom, top) = self.x.pixels, self.y.pixels
        bottom, top = max(bottom, top), min(bottom, top)
        parts = [*self._along(left, right, top, bottom)] if self.x.is_visible else []
        return parts + (self._up(left, right, top, bottom) if self.y.is_visible else [])

    def _along(self, left: float, right: float, top: float, bottom: float) -> list[str]:
        parts, ticks = [_path(f"M{left:.1f} {bottom:.1f}H{right:.1f}", self.ink)], self.x.ticks()
        widest = max((len(word) for _, word in ticks), default=0) * LETTER * self.small
        tight = len(ticks) > 1 and widest > abs(ticks[1][0] - ticks[0][0])
        rotated = self.x.layout.get("tickangle") == -90 or tight
        for place, word in ticks:
            if self.x.layout.get("showgrid", True):
                parts.insert(0, _path(f"M{place:.1f} {top:.1f}V{bottom:.1f}", self.grid))
            if rotated:
                parts.append(svg_text(place + 4, bottom + 8, word, self.small, "end", rotation=-90))
            else:
                parts.append(svg_text(place, bottom + 6 + self.small, word, self.small))
        depth = 12 + (widest if rotated else self.small) + 1.2 * self.small
        return [*parts, svg_text((left + right) / 2, bottom + depth, self.x.title, self.small + 1)]

    def _up(self, left: float, right: float, top: float, bottom: float) -> list[str]:
        parts, ticks = [_path(f"M{left:.1f} {top:.1f}V{bottom:.1f}", self.ink)], self.y.ticks()
        for place, word in ticks:
            if self.y.layout.get("showgrid", True):
                parts.insert(0, _path(f"M{left:.1f} {place:.1f}H{right:.1f}", self.grid))
            parts.append(svg_text(left - 6, place + 4, word, self.small, "end"))
        widest = max((len(word) for _, word in ticks), default=0) * LETTER * self.small
        side, middle = left - 14 - widest, (top + bottom) / 2
        return [*parts, svg_text(side, middle, self.y.title, self.small + 1, rotation=-90)]


def svg_text(
    x: float,
    y: float,
    words: str,
    font: float,
    anchor: str = "middle",
    rotation: int = 0,
    ink: str = "",
) -> str:
    """Draw a text at a position, if there is one; `<br>` breaks a line."""
    if not words or not (math.isfinite(x) and math.isfinite(y)):
        return ""
    about = f' transform="rotate({rotation} {x:.1f} {y:.1f})"' if rotation else ""
    fill = f' fill="{ink}"' if ink else ""
    lines = words.split("<br>")
    more = "".join(
        f'<tspan x="{x:.1f}" dy="{1.25 * font:.1f}">{escape(line)}</tspan>' for line in lines[1:]
    )
    start = f'<text x="{x:.1f}" y="{y:.1f}" font-size="{font:.1f}" text-anchor="{anchor}"'
    return f"{start}{fill}{about}>{escape(lines[0])}{more}</text>"


def _path(route: str, ink: str) -> str:
    return f'<path d="{route}" stroke="{ink}" fill="none"/>'


def _many(values: Any) -> list[Any]:
    single = isinstance(values, str | int | float) or values is None
    return [values] if single else [*cast(Sequence, values)]
