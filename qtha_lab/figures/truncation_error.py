"""Plot of the approximation error of matrix product operators against their parameters.

Takes computed points. The error of a matrix is not the error of the model.
"""

import functools
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from qtha_lab.figures.machinery import labels, ticks
from qtha_lab.figures.machinery import theme as themes
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.parts import Unchecked, unchecked
from qtha_lab.figures.machinery.registry import figure_function
from qtha_lab.figures.machinery.table import Table

Point = tuple[float, float]
CHOSEN = "chosen bonds"
COLORS = (
    themes.GREEN,
    themes.PINK,
    themes.SKY,
    themes.GREY,
)  # matrices are no methods and have other colours


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
    draw = functools.partial(_draw, rising, dense_parameters, chosen)
    return Figure("truncation_error", draw, caption, alt, table, theme)


def _ends(points: Sequence[Point]) -> str:
    if not points:
        return "without points"
    (few, large), (many, small) = points[0], points[-1]
    return f"from {large:.3g} at {few:,} to {small:.3g} at {many:,}"


def _draw(
    curves: Mapping[str, Sequence[Point]], dense: int, chosen: Point | None, page_style: PageStyle
) -> go.Figure | Unchecked:
    traces = []
    for number, (label, points) in enumerate(curves.items()):
        hover = f"{label}<br>%{{x:,}} parameters: %{{y:.3g}}<extra></extra>"
        x, y = ([point[i] for point in points] for i in (0, 1))
        more = {"x": x, "y": y, "hovertemplate": hover}
        traces.append(page_style.plain_line(label, _style(number)) | more)
    if chosen:
        ring = {
            "symbol": "circle-open",
            "size": 2.2 * page_style.marker,
            "color": page_style.inks.text,
        }
        ring["line"] = {"width": 1.5 * page_style.line}
        hover = f"{CHOSEN}<br>%{{x:,}} parameters: %{{y:.3g}}<extra></extra>"
        traces.append({
            "type": "scatter", "x": [chosen[0]], "y": [chosen[1]], "name": CHOSEN,
            "mode": "markers", "marker": ring, "hovertemplate": hover,
        })  # fmt: skip
    line = {"dash": "dot", "width": 0.7 * page_style.line, "color": page_style.inks.text}
    counts = [
        dense,
        *(n for points in curves.values() for n, _ in points),
        *([chosen[0]] if chosen else []),
    ]
    along = {
        "title": {"text": labels.axis("parameters")},
        **ticks.log_axis(counts, ticks.thousands),
    }
    up = {"title": {"text": labels.axis("relative_error")}, "range": [-0.02, 1.05]}
    upright = {"type": "line", "x0": dense, "x1": dense, "y0": 0, "y1": 1, "yref": "y domain"}
    layout = {"xaxis": along, "yaxis": up, "shapes": [{**upright, "xref": "x", "line": line}]}
    return page_style.with_legend(
        unchecked(traces, layout), [*curves, *([CHOSEN] if chosen else [])]
    )


def _style(number: int) -> dict[str, str]:
    """Return the colour, dash and symbol of a matrix by its number."""
    kinds = {"color": COLORS, "dash": themes.DASHES, "symbol": themes.SYMBOLS}
    return {name: choices[number % len(choices)] for name, choices in kinds.items()}
