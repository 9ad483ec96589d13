"""A picture of lines as SVG, written by hand: what stands where no script runs and no browser draws.

Knows axes, lines, dashes, symbols and a legend, which is what live curves need; not the rest of plotly.
"""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np

from qtha_lab.figures.machinery import ticks
from qtha_lab.figures.machinery.theme import INKS

WIDTH, LINE, FONT, LETTER = 800, 18, 12, 6.6
LEFT, RIGHT, BOTTOM = 58, 12, 44
DASHES = {
    "dash": "9 5", "dot": "2 4", "dashdot": "9 4 2 4", "longdash": "14 6", "longdashdot": "14 5 2 5",
}  # fmt: skip
Curve = tuple[np.ndarray, np.ndarray]


class Panel(NamedTuple):
    """A pair of axes: where it stands in pixels, and what range it shows."""

    left: float
    right: float
    top: float
    bottom: float
    x: tuple[float, float]
    y: tuple[float, float]

    def place(self, x, y) -> tuple[np.ndarray, np.ndarray]:
        """Pixels of values."""
        (x0, x1), (y0, y1) = self.x, self.y
        along = self.left + (np.asarray(x) - x0) / (x1 - x0) * (self.right - self.left)
        return along, self.bottom - (np.asarray(y) - y0) / (y1 - y0) * (self.bottom - self.top)


def svg(data: Sequence[dict], layout: dict, curves: Sequence[Curve], alt: str) -> str:
    """The picture of these lines.

    Args:
        data: Plotly traces without points: name, line, marker, mode and axes.
        layout: Its axes' domains and titles, and the height.
        curves: The x and y of each trace.
        alt: The finding in words.
    """
    names = [trace for trace in data if trace.get("showlegend", True)]
    legend, top = _legend(names)
    height = layout.get("height", 360) + top
    parts = [*legend]
    for name in dict.fromkeys(trace.get("xaxis", "x") for trace in data) or ["x"]:
        on = [i for i, trace in enumerate(data) if trace.get("xaxis", "x") == name]
        number = name[1:]
        axes = layout.get(f"xaxis{number}", {}), layout.get(f"yaxis{number}", {})
        panel = _panel(axes[0].get("domain", [0, 1]), [curves[i] for i in on], top, height)
        parts += _axes(panel, *(axis.get("title", {}).get("text", "") for axis in axes))
        for i in on:
            parts += _line(panel, data[i], *curves[i])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" '
        f'height="{height:g}" role="img" font-family="Helvetica, Arial, sans-serif" '
        f'font-size="{FONT}" fill="{INKS["page"].text}"><title>{escape(alt)}</title>'
        f"{''.join(parts)}</svg>"
    )


def _panel(domain: Sequence[float], curves: Sequence[Curve], top: float, height: float) -> Panel:
    """The axes over a share of the width, wide enough for all points."""
    room = WIDTH - LEFT - RIGHT
    left, right = (LEFT + share * room for share in domain)
    x, y = (np.concatenate([np.asarray(c[k], float) for c in curves] or [[]]) for k in (0, 1))
    return Panel(left, right, top + 8, height - BOTTOM, _span(x, 0.02), _span(y, 0.06))


def _span(values: np.ndarray, edge: float) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    edge = edge * (high - low) or 0.5
    return low - edge, high + edge


def _axes(panel: Panel, x_title: str, y_title: str) -> list[str]:
    ink, grid = INKS["page"].text, INKS["page"].grid
    left, right, top, bottom = panel[:4]
    parts = []
    for value in ticks.linear(*panel.x):
        at = float(panel.place(value, 0)[0])
        parts.append(f'<path d="M{at:.1f} {top:g}V{bottom:g}" stroke="{grid}"/>')
        parts.append(_text(at, bottom + 16, f"{value:g}"))
    for value in ticks.linear(*panel.y):
        at = float(panel.place(0, value)[1])
        parts.append(f'<path d="M{left:g} {at:.1f}H{right:g}" stroke="{grid}"/>')
        parts.append(_text(left - 6, at + 4, f"{value:g}", "end"))
    parts.append(f'<path d="M{left:g} {top:g}V{bottom:g}H{right:g}" stroke="{ink}" fill="none"/>')
    middle, side = (top + bottom) / 2, left - 44
    turned = f'transform="rotate(-90 {side:g} {middle:g})"'
    return [*parts, _text((left + right) / 2, bottom + 36, x_title),
            _text(side, middle, y_title, "middle", turned)]  # fmt: skip


def _line(panel: Panel, trace: dict, x: np.ndarray, y: np.ndarray) -> list[str]:
    if not len(x):
        return []
    places = [f"{a:.1f},{b:.1f}" for a, b in zip(*panel.place(x, y), strict=True)]
    parts = [f'<polyline points="{" ".join(places)}" {_stroke(trace["line"])}/>']
    if "markers" in trace["mode"]:
        parts += [_symbol(trace, *map(float, place.split(","))) for place in places]
    return parts


def _stroke(line: dict) -> str:
    dash = DASHES.get(line.get("dash", ""))
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    width = line.get("width", 2)
    return f'fill="none" stroke="{line["color"]}" stroke-width="{width:g}"{dashed}'


def _symbol(trace: dict, x: float, y: float) -> str:
    """A circle, or a square or its turn for every other symbol."""
    symbol, fill = trace["marker"].get("symbol", "circle"), f'fill="{trace["line"]["color"]}"'
    if symbol in ("circle", "pentagon", "star"):
        return f'<circle cx="{x:g}" cy="{y:g}" r="4" {fill}/>'
    turn = "" if symbol in ("square", "cross") else f' transform="rotate(45 {x:g} {y:g})"'
    return f'<rect x="{x - 3.5:g}" y="{y - 3.5:g}" width="7" height="7" {fill}{turn}/>'


def _legend(traces: Sequence[dict]) -> tuple[list[str], float]:
    """Names in rows, and the height of these."""
    parts, x, y = [], float(LEFT), float(LINE)
    for trace in traces:
        width = 46 + LETTER * len(trace["name"])
        if x > LEFT and x + width > WIDTH - RIGHT:
            x, y = float(LEFT), y + LINE
        parts.append(f'<path d="M{x:g} {y - 4:g}h28" {_stroke(trace["line"])}/>')
        if "markers" in trace["mode"]:
            parts.append(_symbol(trace, x + 14, y - 4))
        parts.append(_text(x + 34, y, trace["name"], "start"))
        x += width
    return parts, (y + 8 if traces else 0.0)


def _text(x: float, y: float, words: str, anchor: str = "middle", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(words)}</text>'
