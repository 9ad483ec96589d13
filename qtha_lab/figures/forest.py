"""Plot of paired differences between methods with their intervals, one row each.

Takes the differences of `qtha_lab.studies.comparison.claims`. Makes no decision.
"""

import functools
from collections.abc import Sequence
from typing import NotRequired, TypedDict

import plotly.graph_objects as go

from qtha_lab.figures.machinery import labels, theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import NO_TICKS, note
from qtha_lab.figures.machinery.table import Table

NAMES = 0.4  # of the width: most that names may take
EDGE = 0.06  # of the range: margin at both ends
_PLAIN = {"dash": "solid", "symbol": "circle"}


class Difference(TypedDict):
    """Paired difference with its interval, verdict and margin of equivalence."""

    label: str
    mean: float
    low: float
    high: float
    verdict: str
    margin: NotRequired[float]


def _example() -> dict:
    rows = [
        ("lora(r=8)", -0.151, -0.192, -0.110, "shown", 0.02),
        ("qtha(r=4,waist=16,bond_dim=3)", 0.074, 0.031, 0.117, "shown", 0.02),
        ("qtha(r=4,waist=16,bond_dim=3,stand_in=bias)", 0.012, -0.028, 0.052, "inconclusive", 0.02),
        ("qtha_gradient(r=4)", 0.004, -0.006, 0.014, "equivalent", 0.02),
    ]
    names = ("label", "mean", "low", "high", "verdict", "margin")
    return {
        "differences": [dict(zip(names, row, strict=True)) for row in rows],
        "reference": "lora(r=2)",
        "level": 0.05 / 4,
    }


@figure_function(example=_example)
def forest(
    differences: Sequence[Difference],
    measure: str = "test_loss",
    reference: str = "",
    level: float = 0.05,
    theme: str = "light",
) -> Figure:
    """Plot differences with their intervals, one row each, about a line at zero.

    Args:
        differences: Rows of the plot, from the top.
        measure: Name of the compared quantity in `labels`.
        reference: Subtracted method; "" where rows are no methods and each has its own reference.
        level: Error probability of one interval.
        theme: "light", "dark" or "page".

    Example:
        >>> qtha = {"label": "qtha", "mean": 0.03, "low": -0.01, "high": 0.07}
        >>> forest([qtha | {"verdict": "inconclusive"}], reference="lora").alt
        'Test loss minus that of lora: qtha +0.030 [-0.010, +0.070] inconclusive.'
    """
    rows = list(differences)
    words = labels.label_of(measure).words
    of = f"{labels.words_of(measure)} minus that of {reference or 'its reference'}"
    findings = "; ".join(f"{row['label']} {_number(row)} {row['verdict']}" for row in rows)
    alt = f"{of}: {findings or 'none was measured'}."
    together = ", which hold simultaneously with 95 %" if level < 0.05 else ""
    caption = (
        f"{of}, paired by seed: means with intervals of {100 * (1 - level):.3g} %{together}. "
        "Filled symbols are shown, hollow ones inconclusive, hollow squares equivalent within the "
        "grey band."
    )
    columns = ("method", f"difference_of_{measure}", "low", "high", "verdict")
    records = [(row["label"], row["mean"], row["low"], row["high"], row["verdict"]) for row in rows]
    title = f"Differences of {words}" + (f" to {reference}" if reference else "")
    draw = functools.partial(_draw, rows, measure, reference)
    return Figure(f"forest_{measure}", draw, caption, alt, Table(columns, records), theme, title)


def _number(row: Difference) -> str:
    return f"{row['mean']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"


def _axis(measure: str, reference: str) -> str:
    words, unit, _ = labels.label_of(measure)
    subject = f"{words} minus that of {reference}" if reference else f"difference of {words}"
    return f"{subject} ({unit})" if unit else subject


def _draw(rows: list[Difference], measure: str, reference: str, page_style: PageStyle) -> go.Figure:
    names = [page_style.wrap(row["label"], NAMES * page_style.width) for row in rows]
    halves = [0.65 * (name.count("<br>") + 1) + 0.45 for name in names]
    depth = max(2 * sum(halves), 1.0)  # in letter heights, downward
    figure = go.Figure(_zero(depth, page_style))
    figure.update_xaxes(range=_range(rows), nticks=6)
    styles = theme.distinct_styles(row["label"] for row in rows)
    if not reference:  # rows are no methods; only methods have colours
        styles = {label: {**_PLAIN, "color": page_style.inks.text} for label in styles}
    y = 0.0
    for row, name, half in zip(rows, names, halves, strict=True):
        y += half
        _add_row(figure, row, y, styles[row["label"]], page_style)
        figure.add_annotation(**_text(name, y, 0, "right", page_style))
        if not page_style.narrow:
            number = _number(row).replace("-", "−")  # the minus sign of the ticks
            figure.add_annotation(**_text(number, y, 1, "left", page_style))
        y += half
    figure.update_yaxes(range=[depth, 0], **NO_TICKS)
    numbers = (
        0 if page_style.narrow else max(map(page_style.text_width, map(_number, rows)), default=0)
    )
    left, right = (
        max(map(page_style.text_width, names), default=0) + page_style.font,
        numbers + page_style.font,
    )
    space = min(
        page_style.width - left - right + 2 * min(left, right), page_style.width - page_style.font
    )
    title = page_style.wrap(_axis(measure, page_style.name_of(reference)), space)
    figure.update_xaxes(title_text=title)
    below = 3.5 + 1.3 * title.count("<br>")
    margin = {"l": left, "r": right, "t": 0.5 * page_style.font, "b": below * page_style.font}
    height = (depth + below + 0.5) * page_style.font
    return figure.update_layout(height=height, margin=margin, showlegend=False)


def _zero(depth: float, page_style: PageStyle) -> go.Scatter:
    line = {"width": 0.7 * page_style.line, "color": page_style.inks.text}
    return go.Scatter(
        x=[0, 0], y=[0, depth], mode="lines", line=line, hoverinfo="skip", showlegend=False
    )


def _range(rows: list[Difference]) -> list[float]:
    """Return the least and the largest drawn value, including zero.

    The margin of equivalence is included too, unless it is wider than all intervals together.
    """
    low = min([0.0, *(row["low"] for row in rows)])
    high = max([0.0, *(row["high"] for row in rows)])
    margin = max((row.get("margin") or 0.0 for row in rows), default=0.0)
    if margin <= high - low:
        low, high = min(low, -margin), max(high, margin)
    edge = EDGE * (high - low) or 1.0
    return [low - edge, high + edge]


def _text(words: str, y: float, x: int, side: str, page_style: PageStyle) -> dict:
    """Return a text beside the axes, at the height of its row."""
    place = {"xref": "paper", "x": x, "xanchor": "right" if x == 0 else "left", "y": y}
    shift = 0.5 * page_style.font * (1 if x else -1)
    place |= {"align": side, "yanchor": "middle", "xshift": shift, "borderpad": 0}
    return note(words, page_style, **place)


def _add_row(
    figure: go.Figure, row: Difference, y: float, style: dict[str, str], page_style: PageStyle
):
    if margin := row.get("margin"):
        low, high = figure.to_plotly_json()["layout"]["xaxis"].get("range") or (-margin, margin)
        figure.add_shape(
            type="rect",
            x0=max(-margin, low),
            x1=min(margin, high),
            y0=y - 0.6,
            y1=y + 0.6,
            layer="below",
            line_width=0,
            fillcolor=page_style.inks.grid,
        )
    hover = f"{page_style.name_of(row['label'])}<br>{_number(row)}<extra></extra>"
    hollow = "square-open" if row["verdict"] == "equivalent" else f"{style['symbol']}-open"
    symbol = style["symbol"] if row["verdict"] == "shown" else hollow
    interval = page_style.line_of(row["label"], style, x=[row["low"], row["high"]], y=[y, y])
    interval.update(mode="lines", hoverinfo="skip", showlegend=False, line_dash="solid")
    mean = page_style.line_of(row["label"], style, x=[row["mean"]], y=[y], hovertemplate=hover)
    mean.update(mode="markers", marker={"symbol": symbol, "size": 1.7 * page_style.marker})
    figure.add_traces([interval, mean])
