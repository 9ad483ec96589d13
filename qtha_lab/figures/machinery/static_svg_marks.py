"""Marks of a static SVG: lines, markers, bars, cells, shapes and annotations.

Takes plain plotly traces. Draws the traces of this package's figures, not all of plotly.
"""

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, cast

import numpy as np
from plotly.colors import sample_colorscale

from qtha_lab.figures.machinery.still_axes import SvgAxis, svg_text

DASHES = {
    "dash": "9 5",
    "dot": "2 4",
    "dashdot": "9 4 2 4",
    "longdash": "14 6",
    "longdashdot": "14 5 2 5",
}
BAR = 0.85  # width of a bar over the width available
VALUE = re.compile(r"%\{(\w+)(?:\[(\d+)\])?(?::([^}]*))?\}")  # fields in a plotly hovertemplate
STRIPE = 4.0  # pixels from one stripe of a hatched bar to the next
CORNERS = {
    "square": "M-1 -1H1V1H-1Z",
    "diamond": "M0 -1.3L1.3 0L0 1.3L-1.3 0Z",
    "triangle-up": "M0 -1.2L1.1 .9H-1.1Z",
    "cross": "M-1.2 -.4H-.4V-1.2H.4V-.4H1.2V.4H.4V1.2H-.4V.4H-1.2Z",
    "x": "M-1.2 -.7L-.7 -1.2L0 -.5L.7 -1.2L1.2 -.7L.5 0L1.2 .7L.7 1.2L0 .5L-.7 1.2L-1.2 .7L-.5 0Z",
    "star": (
        "M0 -1.4L.35 -.45L1.35 -.45L.55 .15L.85 1.1L0 .5L-.85 1.1L-.55 .15L-1.35 -.45L-.35 -.45Z"
    ),
    "pentagon": "M0 -1.2L1.14 -.37L.7 .97H-.7L-1.14 -.37Z",
    "arrow": "M0 -1.2L.8 1.1L0 .6L-.8 1.1Z",
}


def trace(
    trace: dict, x: SvgAxis, y: SvgAxis, ink: str, group: tuple[int, int] = (0, 1)
) -> list[str]:
    """Draw a trace as SVG elements.

    Args:
        trace: Scatter, bar or heatmap trace.
        x: X axis of the trace.
        y: Y axis of the trace.
        ink: Default colour.
        group: For bars, the index in the group of adjacent bars, and the group size.
    """
    if trace.get("type") == "bar":
        return _bars(trace, x, y, ink, group)
    return (_cells if trace.get("type") == "heatmap" else _scatter)(trace, x, y, ink)


def band(low: dict, high: dict, x: SvgAxis, y: SvgAxis) -> str:
    """Draw the band between two lines, in the fill colour of the second.

    Args:
        low: First line, a scatter trace.
        high: Second line, which sets the colour.
        x: X axis of the lines.
        y: Y axis of the lines.
    """
    points = [
        f"{a:.1f},{b:.1f}"
        for trace, way in ((low, 1), (high, -1))
        for a, b in list(zip(x.at(trace["x"]), y.at(trace["y"]), strict=True))[::way]
        if math.isfinite(a) and math.isfinite(b)
    ]
    return f'<polygon points="{" ".join(points)}" fill="{high.get("fillcolor", "none")}"/>'


def _scatter(trace: dict, x: SvgAxis, y: SvgAxis, ink: str) -> list[str]:
    values = trace.get("x"), trace.get("y")
    if any(v is None or not len(v) for v in values):
        return []
    places = list(zip(x.at(values[0]), y.at(values[1]), strict=True))
    mode, line = trace.get("mode", "lines"), trace.get("line") or {}
    parts = _errors(trace, places, x, y, ink)
    if "lines" in mode and line.get("width", 2):
        way = _steps(places) if line.get("shape") == "hv" else places
        parts += [f'<polyline points="{points}" {stroke(trace, ink)}/>' for points in _runs(way)]
    if "markers" in mode:
        parts += _markers(trace, places, ink)
    if "text" in mode:
        parts += _words(trace, places)
    return parts


def _steps(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the corners of steps through points: horizontal first, then vertical."""
    corners = [
        corner
        for (_, before), (a, b) in itertools.pairwise(places)
        for corner in ((a, before), (a, b))
    ]
    return [*places[:1], *corners]


def _runs(places: Sequence[tuple[float, float]]) -> Iterator[str]:
    """Yield the points of unbroken line segments."""
    run: list[str] = []
    for a, b in [*places, (math.nan, math.nan)]:
        if math.isfinite(a) and math.isfinite(b):
            run.append(f"{a:.1f},{b:.1f}")
        elif run:
            yield " ".join(run)
            run = []


def stroke(trace: dict, ink: str) -> str:
    """Return the SVG attributes of a trace's line."""
    line = trace.get("line") or {}
    dash = DASHES.get(line.get("dash", ""))
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    width = line.get("width", 2)
    return f'fill="none" stroke="{color_of(trace, ink)}" stroke-width="{width:g}"{dashed}'


def color_of(trace: dict, ink: str) -> str:
    """Return the colour of a trace."""
    for part in ("line", "marker"):
        color = (trace.get(part) or {}).get("color")
        if isinstance(color, str):
            return color
    return ink


def _markers(trace: dict, places: Sequence[tuple[float, float]], ink: str) -> list[str]:
    marker = trace.get("marker") or {}
    if marker.get("opacity", 1) == 0:
        return _spots(trace, places, marker)
    angles = marker.get("angle", 0)
    angles = angles if isinstance(angles, list) else [angles] * len(places)
    return [
        marker_path(marker, a, b, marker.get("color") or color_of(trace, ink), rotation)
        for (a, b), rotation in zip(places, angles, strict=True)
        if math.isfinite(a) and math.isfinite(b)
    ]


def _spots(trace: dict, places: Sequence[tuple[float, float]], marker: dict) -> list[str]:
    """Draw invisible circles with hover text."""
    words = trace.get("hovertext") or []
    radius = marker.get("size", 6) / 2
    return [
        f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{radius:.1f}" fill="transparent"><title>'
        f"{escape(each.replace('<br>', chr(10)))}</title></circle>"
        for (a, b), each in zip(places, words, strict=False)
    ]


def marker_path(marker: dict, a: float, b: float, color: str, rotation: float = 0) -> str:
    """Draw one marker."""
    symbol, half = marker.get("symbol", "circle"), marker.get("size", 6) / 2
    if symbol.startswith("line"):
        line = marker.get("line") or {}
        color, width = line.get("color") or color, line.get("width", 1)
        way = f"M{a - half:.1f} {b:.1f}h{2 * half:.1f}"
        if symbol == "line-ns":
            way = f"M{a:.1f} {b - half:.1f}v{2 * half:.1f}"
        return f'<path d="{way}" stroke="{color}" stroke-width="{width:g}"/>'
    hollow = symbol.endswith("-open")
    edge = f'fill="none" stroke="{color}" stroke-width="1.5" vector-effect="non-scaling-stroke"'
    paint = edge if hollow else f'fill="{color}"'
    corners = CORNERS.get(symbol.removesuffix("-open"))
    if corners is None:
        return f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{half:.1f}" {paint}/>'
    rotated = f" rotate({rotation:.0f})" if rotation else ""
    move = f"translate({a:.1f} {b:.1f}){rotated} scale({0.85 * half:.2f})"
    return f'<path d="{corners}" transform="{move}" {paint}/>'


def _words(trace: dict, places: Sequence[tuple[float, float]]) -> list[str]:
    font = (trace.get("textfont") or {}).get("size", 12)
    down, _, along = trace.get("textposition", "middle center").partition(" ")
    anchor = {"left": "end", "center": "middle", "right": "start"}[along]
    words = trace.get("text") or []
    words = [words] * len(places) if isinstance(words, str) else words
    ink = (trace.get("textfont") or {}).get("color", "")
    return [
        svg_text(a, b + _drop(down, font, word), str(word), font, anchor, ink=ink)
        for (a, b), word in zip(places, words, strict=False)
    ]


def _drop(down: str, font: float, words: str) -> float:
    """Return the distance from the position of a text to its first baseline."""
    lines = words.count("<br>") * 1.25 * font
    return {"top": -0.3 * font - lines, "middle": 0.35 * font - lines / 2, "bottom": font}[down]


def ends_of_errors(trace: dict, letter: str) -> list[float]:
    """Return the ends of a trace's error bars along an axis, "x" or "y"."""
    return [end for ends in _ends_of_errors(trace, letter) for end in ends or ()]


def _ends_of_errors(trace: dict, letter: str) -> list[tuple[float, float] | None]:
    """Return the lower and upper end of every error bar; None for points without one."""
    bars = trace.get(f"error_{letter}") or {}
    if not bars.get("array"):
        return []
    up, down = (bars.get(name) or bars["array"] for name in ("array", "arrayminus"))
    return [
        None if None in (value, more, less) else (value - less, value + more)
        for value, more, less in zip(trace[letter], up, down, strict=True)
    ]


def _errors(
    trace: dict, places: Sequence[tuple[float, float]], x: SvgAxis, y: SvgAxis, ink: str
) -> list[str]:
    parts = []
    for letter, axis in (("x", x), ("y", y)):
        color = (trace.get(f"error_{letter}") or {}).get("color") or color_of(trace, ink)
        for (a, b), ends in zip(places, _ends_of_errors(trace, letter), strict=False):
            if ends is not None:
                low, high = axis.at(list(ends))
                bar = (
                    f"M{low:.1f} {b:.1f}H{high:.1f}"
                    if letter == "x"
                    else f"M{a:.1f} {low:.1f}V{high:.1f}"
                )
                parts.append(f'<path d="{bar}" stroke="{color}" fill="none"/>')
    return parts


def step_of(numbers: np.ndarray) -> float:
    """Return the distance between neighbouring bars or cells."""
    different = np.unique(numbers[np.isfinite(numbers)])
    return float(np.diff(different).min()) if len(different) > 1 else 1.0


def _bars(trace: dict, x: SvgAxis, y: SvgAxis, ink: str, group: tuple[int, int]) -> list[str]:
    values = trace.get("x") or [], trace.get("y") or []
    numbers = x.number(values[0])
    if not len(numbers):
        return []
    place, count = group
    space = (
        abs(float(np.diff(x.share([0, step_of(numbers) / abs(x.range[1] - x.range[0])]))[0])) * BAR
    )
    half, shift = space / count / 2, (place + 0.5) * space / count - space / 2
    marker = trace.get("marker") or {}
    colors = marker.get("color") or ink
    if isinstance(colors, list) and not isinstance(next(iter(colors), ""), str):
        colors = _colors(colors, marker.get("cmin"), marker.get("cmax"), marker.get("colorscale"))
    elif not isinstance(colors, list):
        colors = [colors] * len(numbers)
    foot = float(y.share(0.0)) if y.kind == "log" else float(y.at([max(0.0, min(y.range))])[0])
    foot = float(y.at([0])[0]) if y.kind != "log" and min(y.range) <= 0 <= max(y.range) else foot
    parts = []
    stripes = marker.get("pattern") or {}
    for a, b, color in zip(x.at(values[0]), y.at(values[1]), colors, strict=True):
        if math.isfinite(a) and math.isfinite(b):
            place = a + shift - half, min(b, foot), 2 * half, abs(b - foot)
            parts.append(_rect(*place, color))
            if stripes.get("shape"):
                parts.append(_hatched(*place))
    return parts


def _hatched(left: float, top: float, width: float, height: float) -> str:
    """Draw light stripes that rise to the right, over a bar."""
    segments = []
    for k in range(1, math.ceil((width + height) / STRIPE)):
        along = (
            k * STRIPE
        )  # offset from the upper left corner, where the stripe would meet the upper edge
        x0, y0 = max(0.0, along - height), min(along, height)
        x1, y1 = min(along, width), max(0.0, along - width)
        segments.append(f"M{left + x0:.1f} {top + y0:.1f}L{left + x1:.1f} {top + y1:.1f}")
    return (
        f'<path d="{"".join(segments)}" stroke="#fff" stroke-opacity="0.75" fill="none"/>'
        if segments
        else ""
    )


def spots_of_bars(trace: dict, x: SvgAxis, y: SvgAxis) -> list[str]:
    """Draw invisible rectangles over bars, as high as the plot, with hover text."""
    numbers, words = x.number(trace.get("x") or []), trace.get("hovertemplate")
    if not words or not len(numbers):
        return []
    step = float(np.diff(x.share([0, step_of(numbers) / abs(x.range[1] - x.range[0])]))[0])
    top, bottom = min(y.pixels), max(y.pixels)
    data = trace.get("customdata") or [None] * len(numbers)
    outline = f"{top:.1f}h{step:.1f}V{bottom:.1f}h{-step:.1f}z"
    spots = [
        f'<path d="M{middle - step / 2:.1f}'
        f' {outline}"><title>{escape(_filled_in(words, a, b, more))}</title></path>'
        for middle, a, b, more in zip(x.at(trace["x"]), trace["x"], trace["y"], data, strict=True)
    ]
    return ['<g fill="transparent">', *spots, "</g>"]


def _filled_in(words: str, x: Any, y: Any, customdata: Any) -> str:
    """Fill a plotly hovertemplate with the values of one point.

    Example:
        >>> _filled_in("%{customdata[0]}: %{y:.2f}<extra></extra>", 0, 0.5, ["|0⟩"])
        '|0⟩: 0.50'
    """
    values = {"x": x, "y": y, "customdata": customdata}

    def value(match: re.Match) -> str:
        entry = values[match[1]] if match[2] is None else values[match[1]][int(match[2])]
        return format(entry, match[3] or "")

    return VALUE.sub(value, words.replace("<extra></extra>", "")).replace("<br>", "\n")


def _cells(trace: dict, x: SvgAxis, y: SvgAxis, ink: str) -> list[str]:
    rows = trace["z"]
    numbers = [value for row in rows for value in row if value is not None]
    low, high = (
        trace.get("zmin", min(numbers, default=0)),
        trace.get("zmax", max(numbers, default=1)),
    )
    places = {"x": list(range(len(rows[0]))) if rows else [], "y": list(range(len(rows)))}
    along, above = (
        trace.get(letter) or counted for letter, counted in places.items()
    )  # counted as plotly does where the trace sets none
    across, up = _edges(x.at(along)), _edges(y.at(above))
    parts = []
    for row, (top, bottom) in zip(rows, up, strict=True):
        colors = iter(
            _colors([v for v in row if v is not None], low, high, trace.get("colorscale"))
        )
        for value, (left, right) in zip(row, across, strict=True):
            if value is not None:
                width = abs(right - left)
                place = min(left, right), min(top, bottom), width, abs(bottom - top)
                parts.append(_rect(*place, next(colors)))
    return parts


def _edges(places: np.ndarray) -> list[tuple[float, float]]:
    """Return the lower and upper edge of each cell."""
    if len(places) < 2:
        return [(float(p) - 20, float(p) + 20) for p in places]
    middles = (places[1:] + places[:-1]) / 2
    ends = 2 * places[0] - middles[0], 2 * places[-1] - middles[-1]
    all_ = [float(edge) for edge in (ends[0], *middles, ends[1])]
    return list(itertools.pairwise(all_))


def _colors(values: list[float], low: Any, high: Any, scale: Any) -> list[str]:
    if not values:
        return []
    low = min(values) if low is None else low
    high = max(values) if high is None else high
    shares = [min(1.0, max(0.0, (value - low) / ((high - low) or 1.0))) for value in values]
    return cast(list[str], sample_colorscale(scale or "Viridis", shares))


def _rect(left: float, top: float, width: float, height: float, color: str) -> str:
    place = f'x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect {place} fill="{color}"/>'


def shape(shape: dict, x: list[float], y: list[float]) -> str:
    """Draw a line, a box or an ellipse between two corners.

    Args:
        shape: Type, line and fill, in plotly's format.
        x: Horizontal positions of both corners, in pixels.
        y: Vertical positions of both corners, in pixels.
    """
    if shape["type"] == "line":
        return path(shape, f"M{x[0]:.1f} {y[0]:.1f}L{x[1]:.1f} {y[1]:.1f}")
    fill = _filled(shape)
    left, top, width, height = min(x), min(y), abs(x[1] - x[0]), abs(y[1] - y[0])
    if shape["type"] == "circle":
        middle = f'cx="{left + width / 2:.1f}" cy="{top + height / 2:.1f}"'
        return f'<ellipse {middle} rx="{width / 2:.1f}" ry="{height / 2:.1f}" {fill}/>'
    place = f'x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f"<rect {place} {fill}/>"


def path(shape: dict, way: str) -> str:
    """Draw a shape of any outline, given as an SVG path in pixels."""
    return f'<path d="{way}" {_filled(shape)}/>'


def _filled(shape: dict) -> str:
    """Return the SVG attributes of a shape's edge and fill."""
    line = shape.get("line") or {}
    dash = DASHES.get(line.get("dash", ""))
    edge = f'stroke="{line.get("color", "#444")}" stroke-width="{line.get("width", 2):g}"'
    edge += f' stroke-dasharray="{dash}"' if dash else ""
    return f'fill="{shape.get("fillcolor") or "none"}" {edge}'
