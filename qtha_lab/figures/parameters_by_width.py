"""Plot of trained parameters against the width of a layer, one line per method.

Takes counts, such as those of `qtha_lab.analysis.method_map`.
"""

import functools
from collections.abc import Sequence
from typing import TypedDict

import plotly.graph_objects as go

from qtha_lab.figures.machinery import theme as themes
from qtha_lab.figures.machinery import ticks
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.registry import figure_function
from qtha_lab.figures.machinery.table import Table


class SizeAtWidth(TypedDict):
    """Trained parameters of one method at one width of a square layer."""

    method: str
    width: int
    parameters: int


def _example() -> dict:
    laws = {"lora": lambda w: 8 * w, "qtha": lambda w: 8000 + w, "quanta": lambda w: 24 * w}
    points = [
        {"method": name, "width": w, "parameters": law(w)}
        for name, law in laws.items()
        for w in (64, 256, 1024, 4096)
    ]
    return {"points": points, "width": 1024}


@figure_function(example=_example)
def parameters_by_width(
    points: Sequence[SizeAtWidth], width: int | None = None, theme: str = "light"
) -> Figure:
    """Plot trained parameters against the width of a square layer, both on a log scale.

    Args:
        points: One per method and width.
        width: Width that a vertical line marks, and of which the alt text speaks.
        theme: "light", "dark" or "page".

    Example:
        >>> points = [{"method": "lora", "width": w, "parameters": 8 * w} for w in (64, 128)]
        >>> parameters_by_width(points, 128).alt
        'Trained parameters of a layer of width 128: lora 1,024.'
    """
    lines: dict[str, list[SizeAtWidth]] = {}
    for point in sorted(points, key=lambda point: point["width"]):
        lines.setdefault(point["method"], []).append(point)
    at = width or max((point["width"] for point in points), default=0)
    found = {
        name: point["parameters"]
        for name, line in lines.items()
        for point in line
        if point["width"] == at
    }
    listed = ", ".join(f"{name} {count:,}" for name, count in sorted(found.items(), key=_count))
    alt = f"Trained parameters of a layer of width {at:,}: {listed or 'none was counted'}."
    caption = (
        "Trained parameters of one square layer against its width, by the formula of each method."
        " A smaller number of trained parameters says nothing about the loss, nor about the"
        " numbers that a merged or generated layer stores."
    )
    columns = ("method", "width", "parameters")
    table = Table(columns, [(p["method"], p["width"], p["parameters"]) for p in points])
    draw = functools.partial(_draw, lines, width)
    return Figure("parameters_by_width", draw, caption, alt, table, theme)


def _count(item: tuple[str, int]) -> int:
    return item[1]


def _draw(
    lines: dict[str, list[SizeAtWidth]], width: int | None, page_style: PageStyle
) -> go.Figure:
    styles = themes.distinct_styles(lines)
    figure = go.Figure()
    for name, line in lines.items():
        x, y = [p["width"] for p in line], [p["parameters"] for p in line]
        hover = f"{name}<br>width %{{x:,}}: %{{y:,}}<extra></extra>"
        figure.add_trace(page_style.line_of(name, styles[name], x=x, y=y, hovertemplate=hover))
    if width:
        edge = {"color": page_style.inks.text, "dash": "dot", "width": page_style.line}
        figure.add_vline(x=width, line=edge)
    every = [point for line in lines.values() for point in line]
    figure.update_xaxes(title_text="width of the layer", **_axis(p["width"] for p in every))
    counts = ticks.log_axis([p["parameters"] for p in every], ticks.thousands)
    figure.update_yaxes(title_text="trained parameters", **counts)
    return page_style.with_legend(figure, list(lines))


def _axis(widths) -> dict:
    places = sorted(set(widths))
    return {"type": "log", "tickvals": places, "ticktext": [f"{place:,}" for place in places]}
