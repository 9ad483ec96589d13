"""Legend labels: short unique names, names at line ends, and dash lengths.

Works on a drawn figure. The page style sets the position of the legend.
"""

import logging
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from qtha_lab.core import call_syntax
from qtha_lab.core.errors import Refusal
from qtha_lab.figures.machinery.parts import layout_of, traces_of

log = logging.getLogger(__name__)

# Alternating lengths of dashes and gaps, in line widths; plotly's own are up to 15 pixels long.
DASHES = {
    "dash": (4, 2),
    "dot": (1, 1.6),
    "dashdot": (4, 1.6, 1, 1.6),
    "longdash": (6.5, 2),
    "longdashdot": (6.5, 1.6, 1, 1.6),
}
NEAR = 0.1  # of the width, from the right edge
BETWEEN = 1.15  # distance between names, in font sizes


def short_names(labels: Iterable[str]) -> dict[str, str]:
    """Shorten each label to the fewest options that distinguish it within its method.

    Options that are equal in all labels of a method are dropped first. Then redundant options are
    dropped, starting with the last of a label. A first option that differs, such as r, is kept.

    Example:
        >>> short_names(["lora(r=2,use_dora=true)", "lora(r=8,use_dora=true)", "qtha(r=4)"])
        {'lora(r=2,use_dora=true)': 'lora(r=2)', 'lora(r=8,use_dora=true)': 'lora(r=8)',
        'qtha(r=4)': 'qtha'}
        >>> list(short_names(["lora(r=8)", "lora(r=2,alpha=2)", "lora(r=2,alpha=4)"]).values())
        ['lora(r=8)', 'lora(r=2,alpha=2)', 'lora(r=2,alpha=4)']
    """
    parsed = {label: _parts(label) for label in dict.fromkeys(labels)}
    names = {}
    for method in dict.fromkeys(method for method, _ in parsed.values()):
        members = {label: of for label, (name, of) in parsed.items() if name == method}
        options = _fewest_options(members)
        names |= {label: call_syntax.call(method, options[label]) for label in members}
    unique = len(set(names.values())) == len(names)
    return {label: names[label] if unique else label for label in parsed}


def _fewest_options(members: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Drop options of one method's labels while different labels stay different."""
    options = dict(members)
    count = _different(options)
    places: dict[str, int] = {}
    for of in members.values():
        for place, key in enumerate(of):
            places[key] = max(place, places.get(key, 0))
    differs = {key: _different(members, key) > 1 for key in places}
    for key in sorted(places, key=lambda key: (differs[key], -places[key])):
        if differs[key] and places[key] == 0:
            continue
        fewer = {label: {k: v for k, v in of.items() if k != key} for label, of in options.items()}
        if _different(fewer) == count:
            options = fewer
    return options


def _different(options: Mapping[str, dict[str, Any]], key: str | None = None) -> int:
    """Count the labels that differ in their options, or in one option."""
    return len(
        {repr(sorted(of.items()) if key is None else of.get(key)) for of in options.values()}
    )


def _parts(label: str) -> tuple[str, dict[str, Any]]:
    try:
        return call_syntax.parse_call(label, "method")
    except Refusal as reason:
        log.debug("%r is not the name of a method: %s", label, reason)
        return label, {}


def labels_in(figure: go.Figure) -> list[str]:
    """Return the names that a legend of a figure shows."""
    return list(
        dict.fromkeys(t.name for t in traces_of(figure) if t.name and t.showlegend is not False)
    )


def rename(figure: go.Figure, names: Mapping[str, str]) -> None:
    """Rename traces by a mapping from old to new names."""
    for trace in traces_of(figure):
        trace.name = names.get(trace.name, trace.name)


def dashes_of(width: float, dash: str) -> str:
    """Return a dash as lengths in pixels, for a line of a given width.

    Example:
        >>> dashes_of(1.5, "dash"), dashes_of(1.5, "solid")
        ('6px,3px', 'solid')
    """
    if dash not in DASHES:
        return dash
    return ",".join(f"{max(width, 1) * part:.3g}px" for part in DASHES[dash])


def shorten_dashes(figure: go.Figure) -> None:
    """Set the dashes of each line in proportion to its width."""
    for trace in traces_of(figure):
        line = getattr(trace, "line", None)
        if line is not None and line.dash:
            line.dash = dashes_of(line.width or 2, line.dash)


def name_ends(
    figure: go.Figure, names: Sequence[str], font: float, page: tuple[float, float]
) -> bool:
    """Write each name at the right end of its line, without overlaps.

    Returns False, without changes, where a line or the space for its name is missing.
    """
    layout = layout_of(figure)
    ends = {
        name: trace
        for trace in traces_of(figure)
        if (name := trace.name) in names and _is_line(trace)
    }
    widest = 0.56 * font * max(len(part) for name in names for part in name.split("<br>"))
    axes = _common_axes(ends, names)
    if axes is None or widest > 0.35 * page[0]:
        return False
    number = axes[1][1:]
    if not _reach_the_right(ends.values(), layout[f"xaxis{number}"].type == "log"):
        return False
    log = layout[f"yaxis{number}"].type == "log"
    places = {name: _scaled(trace.y[-1], log) for name, trace in ends.items()}
    pixels = (page[1] - 5 * font) / _span_of_axis(figure, f"y{number}", log)
    low = -math.inf
    for name in sorted(places, key=lambda name: places[name]):
        at = places[name] * pixels
        up = max(at, low + BETWEEN * font * (1 + name.count("<br>")))
        low = up
        x = _scaled(ends[name].x[-1], layout[f"xaxis{number}"].type == "log")
        figure.add_annotation(
            x=x, y=places[name], xref=f"x{number}", yref=f"y{number}", text=name, showarrow=False,
            xanchor="left", xshift=0.5 * font, align="left", yshift=up - at,
            font={"size": font, "color": ends[name].line.color},
        )  # fmt: skip
    figure.update_layout(margin={"r": widest + font, "t": font})
    return True


def name_points(
    figure: go.Figure, names: Sequence[str], font: float, page: tuple[float, float]
) -> bool:
    """Write each name beside its point, without overlaps.

    Returns False, without changes, where a name has no single point or the space is missing.
    """
    layout = layout_of(figure)
    points = {
        name: trace
        for trace in traces_of(figure)
        if (name := trace.name) in names and trace.type == "scatter" and len(trace.x) == 1
    }
    axes = _common_axes(points, names)
    if axes is None or 0.56 * font * max(map(len, names)) > 0.45 * page[0]:
        return False
    x, y = axes
    log_x, log_y = (
        layout[f"{letter}axis{axis[1:]}"].type == "log" for letter, axis in (("x", x), ("y", y))
    )
    places = {
        name: (_scaled(trace.x[0], log_x), _scaled(trace.y[0], log_y))
        for name, trace in points.items()
    }
    ends = layout[f"xaxis{x[1:]}"].range or [a for a, _ in places.values()]
    middle = (min(ends) + max(ends)) / 2
    up = [_scaled(end, log_y) for trace in points.values() for end in _ends_of_bar(trace)]
    pixels = (page[1] - 5 * font) / ((max(up) - min(up)) or 1.0)
    for left in (False, True):
        low = -math.inf
        side = [name for name, (a, _) in places.items() if (a > middle) == left]
        for name in sorted(side, key=lambda name: places[name][1]):
            a, b = places[name]
            at = max(b * pixels, low + BETWEEN * font)
            low = at
            figure.add_annotation(
                x=a,
                y=b,
                xref=x,
                yref=y,
                text=name,
                showarrow=False,
                xanchor="right" if left else "left",
                xshift=(-1 if left else 1) * 0.9 * font,
                yshift=at - b * pixels,
                font={"size": font, "color": points[name].marker.color},
            )
    return True


def _common_axes(traces: Mapping[str, Any], names: Sequence[str]) -> tuple[str, str] | None:
    """Return the axes that the traces of all names share; None without such axes."""
    axes = {(trace.xaxis or "x", trace.yaxis or "y") for trace in traces.values()}
    return axes.pop() if set(traces) == set(names) and len(axes) == 1 else None


def _span_of_axis(figure: go.Figure, axis: str, log: bool) -> float:
    """Return the range of finite values on a y axis; 1 for one value."""
    values = [
        _scaled(value, log)
        for trace in traces_of(figure)
        if (trace.yaxis or "y") == axis and trace.y is not None
        for value in trace.y
        if value is not None and math.isfinite(value)
    ]
    return (max(values) - min(values)) or 1.0


def _ends_of_bar(trace: Any) -> list[float]:
    """Return the lowest and the highest value of a single point and its error bar."""
    middle, bar = trace.y[0], trace.error_y
    if bar is None or bar.array is None:
        return [middle]
    below = bar.array if bar.arrayminus is None else bar.arrayminus
    return [middle - below[0], middle + bar.array[0]]


def _reach_the_right(lines: Iterable[Any], log: bool) -> bool:
    """Return True if all lines end near the right edge.

    A name behind an end then covers no other line.
    """
    x = [[_scaled(v, log) for v in line.x if v is not None] for line in lines]
    first, last = min(map(min, x)), max(map(max, x))
    return min(values[-1] for values in x) >= last - NEAR * (last - first)


def _is_line(trace: Any) -> bool:
    """Return True for a line over numbers whose last point is drawn."""
    if (
        trace.type != "scatter"
        or "lines" not in (trace.mode or "")
        or trace.x is None
        or not len(trace.x)
    ):
        return False
    ends = trace.x[-1], trace.y[-1]
    return all(isinstance(end, numbers.Real) and math.isfinite(end) for end in ends)


def _scaled(value: float, log: bool) -> float:
    return math.log10(value) if log else float(value)
