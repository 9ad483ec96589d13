"""Plot of the remaining signal on a chip against circuit layers.

Takes shares, such as those of `qtha_lab.experiment.cost.chip`.
"""

import functools
from collections.abc import Sequence
from typing import TypedDict

import plotly.graph_objects as go

from qtha_lab.figures.machinery import labels, ticks
from qtha_lab.figures.machinery import theme as themes
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.registry import figure_function
from qtha_lab.figures.machinery.table import Table


class SignalLeft(TypedDict):
    """Share of an expectation that is left on one topology, at one number of layers."""

    topology: str
    n_layers: int
    signal: float


def _example() -> dict:
    left = {"all-to-all": 0.8, "ring": 0.8, "line": 0.6}
    points = [
        {"topology": name, "n_layers": layers, "signal": share**layers}
        for name, share in left.items()
        for layers in (1, 2, 3, 4)
    ]
    return {"points": points, "scatter": 0.03}


@figure_function(example=_example)
def signal_by_layers(
    points: Sequence[SignalLeft], scatter: float | None = None, theme: str = "light"
) -> Figure:
    """Plot the share of ⟨Z⟩ that is left against the layers, one line per topology.

    Args:
        points: One per topology and number of layers.
        scatter: Standard error of ⟨Z⟩ by shots, which a horizontal line marks.
        theme: "light", "dark" or "page".

    Example:
        >>> points = [{"topology": "ring", "n_layers": n, "signal": 0.5**n} for n in (1, 2)]
        >>> signal_by_layers(points, 0.03).alt
        'Share of ⟨Z⟩ that is left: ring 0.25 after 2 layers. The shots scatter by 0.03.'
    """
    lines: dict[str, list[SignalLeft]] = {}
    for point in sorted(points, key=lambda point: point["n_layers"]):
        lines.setdefault(point["topology"], []).append(point)
    found = ", ".join(
        f"{name} {line[-1]['signal']:.3g} after {line[-1]['n_layers']} layers"
        for name, line in lines.items()
    )
    shots = "" if scatter is None else f" The shots scatter by {scatter:.3g}."
    alt = f"Share of ⟨Z⟩ that is left: {found or 'none was estimated'}.{shots}"
    caption = (
        "Estimated share of an expectation that noise of the two-qubit gates leaves, against the"
        " layers of the circuit. Each gate that can change a wire multiplies its mean by one minus"
        " the error. Read-out errors, drift and crosstalk are left out. The dashed line is the"
        " standard error of the shots, where given."
    )
    columns = ("topology", "n_layers", "signal")
    table = Table(columns, [(p["topology"], p["n_layers"], p["signal"]) for p in points])
    draw = functools.partial(_draw, lines, scatter)
    return Figure("signal_by_layers", draw, caption, alt, table, theme)


def _draw(
    lines: dict[str, list[SignalLeft]], scatter: float | None, page_style: PageStyle
) -> go.Figure:
    styles = themes.distinct_styles(lines)
    figure = go.Figure()
    for name, line in lines.items():
        x, y = [p["n_layers"] for p in line], [p["signal"] for p in line]
        hover = f"{name}<br>%{{x}} layers: %{{y:.3g}}<extra></extra>"
        figure.add_trace(page_style.line_of(name, styles[name], x=x, y=y, hovertemplate=hover))
    values = [point["signal"] for line in lines.values() for point in line]
    if scatter:
        edge = {"color": page_style.inks.text, "dash": "dash", "width": page_style.line}
        figure.add_hline(y=scatter, line=edge)
        values.append(scatter)
    figure.update_xaxes(title_text=labels.axis("n_layers"), dtick=1)
    figure.update_yaxes(title_text="share of ⟨Z⟩ that is left", **ticks.log_axis(values))
    return page_style.with_legend(figure, list(lines))
