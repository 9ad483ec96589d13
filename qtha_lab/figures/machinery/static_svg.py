"""Static SVG of a figure, drawn without scripts, a browser or a network.

kaleido and plotly.js draw with a browser, which a notebook on GitHub, a page without scripts and
many machines lack. Draws the traces of this package's figures (`static_svg_marks`) on their axes
(`still_axes`), not all of plotly.
"""

import re
from collections.abc import Sequence
from html import escape
from textwrap import wrap
from typing import Any

import numpy as np

from qtha_lab.figures.machinery import static_svg_marks
from qtha_lab.figures.machinery.still_axes import LETTER, Pair, SvgAxis, svg_text
from qtha_lab.figures.machinery.theme import INKS

WIDTH, LINE, FONT = 800, 18, 12
MARGIN = {"l": 64, "r": 16, "t": 16, "b": 48}
EDGES = {"x": 0.03, "y": 0.06}
PAPER, INK = INKS["page"].paper, INKS["page"].text
PLACE = re.compile(r"(-?[\d.]+),(-?[\d.]+)")  # in the path of a shape
SIZE = re.compile(r'<svg [^>]*?width="([\d.]+)" height="([\d.]+)"')


def svg(drawing: dict[str, Any], alt: str, below: bool = True, hover: bool = False) -> str:
    """Return the figure as SVG, with the finding as text below.

    Args:
        drawing: Figure as plain data from `parts.plain`.
        alt: Finding in words.
        below: Write the finding below the picture; otherwise it is only the picture's title.
        hover: Show the values of bars on hover.

    Example:
        >>> line = {"type": "scatter", "x": [0, 1], "y": [1, 2], "mode": "lines", "name": "lora"}
        >>> "one line" in svg({"data": [line], "layout": {"height": 200}}, "one line")
        True
    """
    data, layout = drawing["data"], drawing["layout"]
    width = layout.get("width") or WIDTH
    legend, top = _legend(data, layout, width)
    margin = MARGIN | {
        side: size for side, size in (layout.get("margin") or {}).items() if size is not None
    }
    if legend:
        margin["t"] = max(top, 16)
    bars = [bar for trace in data if (bar := _colorbar(trace))]
    if bars and not any("x" in bar[0] for bar in bars):
        margin["r"] += 70
    height = layout.get("height") or 360
    box = margin["l"], width - margin["r"], height - margin["b"], margin["t"]
    parts = [*_plots(data, layout, box, hover), *legend]
    parts += [part for bar in bars for part in _bar(*bar, box)]
    words = wrap(alt, int((width - 16) / (LETTER * FONT))) if below else []
    foot = height + LINE * (len(words) + 0.6 * below)
    parts += [
        svg_text(8, height + LINE * (k + 0.8), line, FONT, "start") for k, line in enumerate(words)
    ]
    return _page(width, foot, alt, parts)


def column(pictures: Sequence[str]) -> str:
    """Stack pictures vertically as one picture."""
    sizes = [tuple(map(float, match.groups())) for p in pictures if (match := SIZE.match(p))]
    parts, top = [], 0.0
    for picture, (_, height) in zip(pictures, sizes, strict=True):
        parts.append(picture.replace("<svg ", f'<svg y="{top:g}" ', 1))
        top += height
    width = max((width for width, _ in sizes), default=0.0)
    titles = [re.search("<title>(.*?)</title>", picture, re.S) for picture in pictures]
    return _page(width, top, " ".join(t.group(1) for t in titles if t), parts, escaped=True)


def _page(width: float, height: float, alt: str, parts: list[str], escaped: bool = False) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" role="img" font-family="Helvetica, Arial, sans-serif" '
        f'font-size="{FONT}" fill="{INK}"><title>{alt if escaped else escape(alt)}</title>'
        f"{''.join(parts)}</svg>"
    )


def _plots(
    data: list[dict], layout: dict, box: tuple[float, float, float, float], hover: bool
) -> list[str]:
    """Draw every pair of axes with traces, shapes and annotations, from back to front."""
    pairs = list(dict.fromkeys(map(_pair, data))) or [("x", "y")]
    axes = {
        name: _axis(name, data, layout, box)
        for name in dict.fromkeys(name for pair in pairs for name in pair)
    }
    pages = {
        "x": SvgAxis({"range": [0, 1]}, (), box[:2], 0),
        "y": SvgAxis({"range": [0, 1]}, (), box[2:], 0),
    }
    behind, before = _shapes(layout, axes, pages)
    grids = [Pair(axes[x], axes[y], INK, INKS["page"].grid, 11).draw() for x, y in pairs]
    return [
        *(part for grid in grids for part in grid),
        *behind,
        *_traces(data, layout, axes),
        *before,
        *(_hover_spots(data, axes) if hover else ()),
        *(_note(n, axes, pages) for n in layout.get("annotations") or ()),
    ]


def _pair(trace: dict) -> tuple[str, str]:
    """Return the names of the two axes of a trace."""
    return trace.get("xaxis") or "x", trace.get("yaxis") or "y"


def _axis(
    name: str, data: list[dict], layout: dict, box: tuple[float, float, float, float]
) -> SvgAxis:
    """Return an axis over its share of the box, from the values of its traces."""
    letter, along = name[0], box[:2] if name[0] == "x" else box[2:]
    stated = layout.get(f"{letter}axis{name[1:]}") or {}
    low, high = stated.get("domain") or (0, 1)
    start, end = (along[0] + share * (along[1] - along[0]) for share in (low, high))
    traces = [trace for trace in data if name in _pair(trace)]
    values = [value for trace in traces for value in trace.get(letter) or ()]
    values += [
        value for trace in traces for value in static_svg_marks.ends_of_errors(trace, letter)
    ]
    return SvgAxis(stated, [*values, *_reach(letter, traces)], (start, end), EDGES[letter])


def _shapes(
    layout: dict, axes: dict[str, SvgAxis], pages: dict[str, SvgAxis]
) -> tuple[list[str], list[str]]:
    """Draw the shapes behind the traces and those in front of them."""
    shapes = layout.get("shapes") or ()
    behind = [_shape(shape, axes, pages) for shape in shapes if shape.get("layer") == "below"]
    before = [_shape(shape, axes, pages) for shape in shapes if shape.get("layer") != "below"]
    return behind, before


def _traces(data: list[dict], layout: dict, axes: dict[str, SvgAxis]) -> list[str]:
    """Draw the traces, each band before the line at its upper edge."""
    parts = []
    for trace, before in zip(data, [{}, *data], strict=False):
        x, y = (axes[name] for name in _pair(trace))
        if trace.get("fill") == "tonexty":
            parts.append(static_svg_marks.band(before, trace, x, y))
        parts += static_svg_marks.trace(trace, x, y, INK, _group(trace, data, layout))
    return parts


def _hover_spots(data: list[dict], axes: dict[str, SvgAxis]) -> list[str]:
    """Draw transparent bars that show their values on hover."""
    bars = [trace for trace in data if trace.get("type") == "bar"]
    spots = [
        static_svg_marks.spots_of_bars(bar, *(axes[name] for name in _pair(bar))) for bar in bars
    ]
    return [part for of_bar in spots for part in of_bar]


def _reach(letter: str, traces: list[dict]) -> list[float]:
    """Return the outer edges of bars and cells with numeric positions."""
    reach = []
    for trace in traces:
        kind, values = trace.get("type"), trace.get(letter) or []
        if letter == "y" and kind == "bar":
            reach.append(0.0)
        elif kind in ("bar", "heatmap") and values and not isinstance(values[0], str):
            half = static_svg_marks.step_of(np.asarray(values, float)) / 2
            reach += [min(values) - half, max(values) + half]
    return reach


def _group(trace: dict, data: list[dict], layout: dict) -> tuple[int, int]:
    """Return the index of a bar trace in its group, and the group size.

    The result is (0, 1) for a trace that is not grouped.
    """
    if trace.get("type") != "bar" or layout.get("barmode", "group") != "group":
        return 0, 1
    beside = [t for t in data if t.get("type") == "bar" and t.get("xaxis") == trace.get("xaxis")]
    return next(k for k, t in enumerate(beside) if t is trace), len(beside)


def _at(part: dict, letter: str, values: list, axes: dict[str, SvgAxis], pages: dict[str, SvgAxis]):
    """Return pixels of values on an axis, of axis fractions, or of page fractions."""
    where = part.get(f"{letter}ref") or letter
    if where == "paper":
        return pages[letter].share(values)
    name, _, domain = where.partition(" ")
    if name not in axes:
        return pages[letter].share(values)
    return axes[name].share(values) if domain else axes[name].at(values)


def _shape(shape: dict, axes: dict[str, SvgAxis], pages: dict[str, SvgAxis]) -> str:
    if shape["type"] == "path":
        places = [[*map(float, pair)] for pair in PLACE.findall(shape["path"])]
        x, y = (_at(shape, c, [p[k] for p in places], axes, pages) for k, c in enumerate("xy"))
        pixels = (f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        return static_svg_marks.path(shape, PLACE.sub(lambda _: next(pixels), shape["path"]))
    x, y = (_at(shape, c, [shape[f"{c}0"], shape[f"{c}1"]], axes, pages) for c in "xy")
    return static_svg_marks.shape(shape, [*map(float, x)], [*map(float, y)])


def _note(note: dict, axes: dict[str, SvgAxis], pages: dict[str, SvgAxis]) -> str:
    x, y = (float(_at(note, c, [note.get(c, 0.5)], axes, pages)[0]) for c in "xy")
    font = (note.get("font") or {}).get("size") or FONT
    anchor = {"left": "start", "right": "end"}.get(note.get("xanchor", ""), "middle")
    side = {"top": "bottom", "bottom": "top"}.get(note.get("yanchor", ""), "middle")
    words = note.get("text") or ""
    lines = words.count("<br>") * 1.25 * font
    drop = {"bottom": font, "top": -0.3 * font - lines, "middle": 0.35 * font - lines / 2}[side]
    x, y = x + (note.get("xshift") or 0), y - (note.get("yshift") or 0)
    return svg_text(x, y + drop, words, font, anchor)


def _legend(data: list[dict], layout: dict, width: float) -> tuple[list[str], float]:
    """Return the legend names in rows above the plot, and their height."""
    named = [t for t in data if t.get("name") and t.get("showlegend", True)]
    if not named or layout.get("showlegend") is False:
        return [], 0.0
    parts, x, y = [], 8.0, float(LINE)
    for trace in named:
        name = trace["name"].replace("<br>", " ")
        space = 46 + LETTER * FONT * len(name)
        if x > 8 and x + space > width - 8:
            x, y = 8.0, y + LINE
        if trace.get("type") == "bar" or "lines" not in trace.get("mode", "lines"):
            parts.append(
                static_svg_marks.marker_path(
                    trace.get("marker") or {}, x + 14, y - 4, static_svg_marks.color_of(trace, INK)
                )
            )
        else:
            parts.append(f'<path d="M{x:g} {y - 4:g}h28" {static_svg_marks.stroke(trace, INK)}/>')
            if "markers" in trace.get("mode", ""):
                marker = trace.get("marker") or {}
                parts.append(
                    static_svg_marks.marker_path(
                        marker, x + 14, y - 4, static_svg_marks.color_of(trace, INK)
                    )
                )
        parts.append(svg_text(x + 34, y, name, FONT, "start"))
        x += space
    return parts, y + 14


def _colorbar(trace: dict) -> tuple[dict, Any, float, float] | None:
    """Return the colour bar of a trace, its scale and its limits; None without one."""
    part = trace if trace.get("type") == "heatmap" else trace.get("marker") or {}
    bar = part.get("colorbar")
    if not bar:
        return None
    numbers = [v for row in part.get("z") or [[]] for v in row if v is not None]
    low = part.get("zmin", part.get("cmin", min(numbers, default=0.0)))
    high = part.get("zmax", part.get("cmax", max(numbers, default=1.0)))
    return bar, part.get("colorscale") or "Viridis", low, high


def _bar(
    bar: dict, scale: Any, low: float, high: float, box: tuple[float, float, float, float]
) -> list[str]:
    """Draw the colours from low to high beside their plot."""
    left, right, bottom, top = box
    x = left + bar["x"] * (right - left) if "x" in bar else right + 12
    tall = bar.get("len", 1) * (bottom - top) - 24
    colors = static_svg_marks.sample_colorscale(scale, [k / 23 for k in range(24)])
    step, start = tall / 24, top + 20
    parts = [
        f'<rect x="{x:.1f}" y="{start + (23 - k) * step:.1f}" width="12" height="{step + 0.5:.1f}"'
        f' fill="{color}"/>'
        for k, color in enumerate(colors)
    ]
    values = bar.get("tickvals") or [low, high]
    words = bar.get("ticktext") or [f"{value:.3g}" for value in values]
    for value, word in zip(values, words, strict=True):
        share = (value - low) / ((high - low) or 1)
        parts.append(svg_text(x + 16, start + (1 - share) * tall + 4, word, 11, "start"))
    title = bar.get("title") or {}
    words = title if isinstance(title, str) else title.get("text", "")
    return [*parts, svg_text(x, top + 8, words, 11, "start")]
