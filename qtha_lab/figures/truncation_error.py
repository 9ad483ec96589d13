"""Plot of the approximation error of matrix product operators against their parameters.

Takes computed points. The error of a matrix is not the error of the model.
"""

import functools
from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go

from qtha_lab.figures.machinery import labels, theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import panels, rule
from qtha_lab.figures.machinery.table import Table

Point = tuple[float, float]
CHOSEN = "chosen bonds"
COLORS = (theme.GREEN, theme.PINK, theme.SKY, theme.GREY)  # matrices are no methods


def _example() -> dict:
    counts = (104, 312, 1040, 3744, 14144, 46464, 100880, 200208)
    falls = {
        "q_proj": (0.999, 0.997, 0.992, 0.977, 0.932, 0.834, 0.695, 0.476),
        "smooth kernel": (0.52, 0.21, 0.09, 0.03, 0.01, 0.004, 0.002, 0.001),
    }
    curves = {name: list(zip(counts, fall, strict=True)) for name, fall in falls.items()}
    return {"curves": curves, "dense_parameters": 576 * 576, "chosen": (20000, 0.91)}


@figure_function(example=_example)
def truncation_error(
    curves: Mapping[str, Sequence[Point]],
    dense_parameters: int,
    chosen: Point | None = None,
    theme: str = "light",
) -> Figure:
    """Plot relative error against parameters, one line per matrix.

    A reference line shows the parameters of the dense matrix.

    Args:
        curves: (parameters, relative error) by label, in any order.
        dense_parameters: Entries of the dense matrix.
        chosen: Additional marked point.
        theme: "light", "dark" or "page".

    Example:
        >>> truncation_error({"W": [(10, 0.5), (16, 0.0)]}, 16).alt
        'Relative error against parameters: W from 0.5 at 10 to 0 at 16; the dense matrix has 16.'
    """
    rising = {
        label: sorted((int(n), float(e)) for n, e in points) for label, points in curves.items()
    }
    findings = (
        "; ".join(f"{label} {_ends(points)}" for label, points in rising.items())
        or "nothing measured"
    )
    marked = f"; chosen: {chosen[1]:.3g} at {chosen[0]:,}" if chosen else ""
    alt = (
        f"Relative error against parameters: {findings}{marked}; the dense matrix has "
        f"{dense_parameters:,}."
    )
    caption = (
        "‖W − MPO‖ / ‖W‖ (Frobenius) as the bonds grow; the dotted line is the size of the dense"
        " matrix. A small share of the norm may hold what a model needs, so the error does not show"
        " what is lost."
    )
    rows = [(label, n, e) for label, points in rising.items() for n, e in points]
    rows += [(CHOSEN, *chosen)] if chosen else []
    table = Table(("matrix", "parameters", "relative_error"), rows)
    draw = functools.partial(_draw, table.frame, dense_parameters)
    return Figure("truncation_error", draw, caption, alt, table, theme)


def _ends(points: Sequence[Point]) -> str:
    if not points:
        return "without points"
    (few, large), (many, small) = points[0], points[-1]
    return f"from {large:.3g} at {few:,} to {small:.3g} at {many:,}"


def _draw(frame: pd.DataFrame, dense: int, page_style: PageStyle) -> go.Figure:
    names = list(dict.fromkeys(frame["matrix"]))
    kinds = {"color": COLORS, "dash": theme.DASHES, "symbol": theme.SYMBOLS}
    styles = {
        name: {kind: choices[number % len(choices)] for kind, choices in kinds.items()}
        for number, name in enumerate(names)
    }
    ring = {"color": page_style.inks.text, "dash": "solid", "symbol": "circle-open"}
    figure = panels(
        frame, "parameters", "relative_error", "matrix", page_style,
        hover="%{x:,} parameters: %{y:.3g}", styles=styles | {CHOSEN: ring},
        mode=dict.fromkeys(names, "lines+markers") | {CHOSEN: "markers"},
        xaxis=labels.log_axis([dense, *frame["parameters"]], labels.thousands),
        yaxis={"range": [-0.02, 1.05]},
    )  # fmt: skip
    marker = {"size": 2.2 * page_style.marker, "line_width": 1.5 * page_style.line}
    figure.update_traces(marker=marker, selector={"name": CHOSEN})
    return figure.add_vline(dense, line=rule(page_style))
