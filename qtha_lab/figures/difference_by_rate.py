"""Plot of paired differences against the learning rate that both methods share.

Takes differences with intervals, such as those of `studies.comparison.rate_differences`. Does not
show differences where each method has its own best rate.
"""

import functools
from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict, cast

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from qtha_lab.core.method_styles import shown
from qtha_lab.figures.machinery import labels, theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import error_bar
from qtha_lab.figures.machinery.table import Table

APART = 0.035  # decades between the symbols of neighbouring lines


class RateDifference(TypedDict):
    """Paired difference of two methods at one shared learning rate, with interval and verdict."""

    label: str
    learning_rate: float
    mean: float
    low: float
    high: float
    verdict: str
    seeds: int
    place: NotRequired[str]


def _example() -> dict:
    rates = (0.0003, 0.001, 0.003, 0.01)
    means = {
        ("balanced QTHA − LoRA r = 2", "qa"): (-0.086, -0.020, 0.035, 0.122),
        ("gradient-aware QTHA − LoRA r = 2", "qa"): (-0.273, -0.101, -0.001, 0.049),
        ("balanced QTHA − LoRA r = 2", "definitions"): (-0.100, 0.003, 0.044, 0.093),
        ("gradient-aware QTHA − LoRA r = 2", "definitions"): (-0.433, -0.084, -0.005, -0.006),
    }
    return {
        "differences": [
            {
                "label": label,
                "place": place,
                "learning_rate": rate,
                "mean": mean,
                "low": mean - 0.06,
                "high": mean + 0.06,
                "verdict": "shown" if abs(mean) > 0.06 else "inconclusive",
                "seeds": 3,
            }
            for (label, place), by_rate in means.items()
            for rate, mean in zip(rates, by_rate, strict=True)
        ]
    }


@figure_function(example=_example)
def difference_by_rate(
    differences: Sequence[RateDifference],
    measure: str = "test_loss",
    reference: str = "",
    theme: str = "light",
) -> Figure:
    """Plot differences of two methods against their shared learning rate, about a line at zero.

    Args:
        differences: One per label, place and learning rate; each place has a panel of its own.
        measure: Name of the compared quantity in `labels`.
        reference: Subtracted method; "" where each label names both methods.
        theme: "light", "dark" or "page".

    Example:
        >>> ends = {"label": "qtha", "seeds": 3, "verdict": "shown"}
        >>> small = ends | {"learning_rate": 0.001, "mean": -0.2, "low": -0.3, "high": -0.1}
        >>> large = ends | {"learning_rate": 0.1, "mean": 0.3, "low": 0.2, "high": 0.4}
        >>> difference_by_rate([small, large], reference="lora").alt
        'Test loss minus that of lora at one shared rate: qtha -0.200 shown at 0.001, +0.300 shown
        at 0.1.'
    """
    rows = sorted(differences, key=lambda row: row["learning_rate"])
    lines = _lines(differences, rows)
    words = labels.label_of(measure).words
    of = f"{labels.words_of(measure)} minus that of {reference or 'the second method'}"
    findings = "; ".join(f"{_name(*key)} {_finding(line)}" for key, line in lines.items())
    seeds = sorted({row["seeds"] for row in rows}) or [0]
    span = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    caption = (
        f"{of}, paired by seed, where both methods train at the same learning rate: means with"
        f" intervals over {span} seeds and the test rows. Filled symbols are shown, hollow ones"
        " equivalent or inconclusive. Below zero the first method has the lower value. The sign at"
        " one rate does not say which method is better at its own best rate."
    )
    columns = ("place", "method", "learning_rate", f"difference_of_{measure}", "low", "high")
    columns = (*columns, "seeds", "verdict")
    ends = ("learning_rate", "mean", "low", "high", "seeds", "verdict")
    records = [
        (place, label, *(row[end] for end in ends))
        for (label, place), line in lines.items()
        for row in line
    ]
    return Figure(
        f"difference_of_{measure}_by_rate",
        functools.partial(_draw, lines, measure, reference),
        caption,
        f"{of} at one shared rate: {findings or '0 rates were measured'}.",
        Table(columns, records),
        theme,
        f"Difference of {words} by shared learning rate",
    )


Lines = dict[tuple[str, str], list[RateDifference]]


def _lines(differences: Sequence[RateDifference], by_rate: list[RateDifference]) -> Lines:
    """Group differences by label and place, in the order of their first occurrence."""
    lines: Lines = {(row["label"], row.get("place", "")): [] for row in differences}
    for row in by_rate:
        lines[row["label"], row.get("place", "")].append(row)
    return lines


def _name(label: str, place: str) -> str:
    return f"{shown(label)} on {place}" if place else shown(label)


def _finding(line: list[RateDifference]) -> str:
    return ", ".join(
        f"{row['mean']:+.3f} {row['verdict']} at {row['learning_rate']:g}" for row in line
    )


def _draw(lines: Lines, measure: str, reference: str, page_style: PageStyle) -> go.Figure:
    names = list(dict.fromkeys(label for label, _ in lines))
    places = list(dict.fromkeys(place for _, place in lines)) or [""]
    across = 1 if page_style.narrow else len(places)
    down = len(places) // across
    figure = make_subplots(
        down,
        across,
        shared_yaxes=cast(Any, "all"),
        horizontal_spacing=0.04,
        vertical_spacing=min(0.2, 0.9 / max(1, down - 1)),
    )
    styles = theme.distinct_styles(names)
    rates = [row["learning_rate"] for line in lines.values() for row in line]
    axis = labels.axis_of_rates(rates)
    for number, place in enumerate(places):
        at: dict[str, Any] = {"row": 1 + number // across, "col": 1 + number % across}
        for label in names:
            if line := lines.get((label, place)):
                shift = APART * (names.index(label) - (len(names) - 1) / 2)
                for trace in _traces(label, line, shift, styles[label], page_style):
                    figure.add_trace(trace.update(showlegend=trace.showlegend and not number), **at)
        figure.add_hline(0, line=_zero(page_style), layer="below", **at)
        title = labels.axis("learning_rate") + (f", {place}" if place else "")
        figure.update_xaxes(title_text=title, **axis, **at)
    title = f"− {page_style.name_of(reference)}, " if reference else "difference, "
    for row in range(down):
        figure.update_yaxes(title_text=title + labels.axis(measure), row=row + 1, col=1)
    figure.update_yaxes(range=_range([row for line in lines.values() for row in line]))
    figure.update_layout(height=(0.2 + 0.8 * down) * page_style.height)
    return page_style.with_legend(figure, names)


def _range(rows: list[RateDifference]) -> list[float] | None:
    """Return one range for all panels, which not every renderer takes from a matched axis."""
    ends = [0.0, *(row["low"] for row in rows), *(row["high"] for row in rows)]
    finite = [end for end in ends if np.isfinite(end)]
    margin = 0.05 * (max(finite) - min(finite))
    return [min(finite) - margin, max(finite) + margin] if margin else None


def _zero(page_style: PageStyle) -> dict:
    return {"width": 0.7 * page_style.line, "color": page_style.inks.text}


def _traces(
    label: str,
    line: list[RateDifference],
    shift: float,
    style: dict[str, str],
    page_style: PageStyle,
) -> list[go.Scatter]:
    """Return the means with their intervals, and filled symbols on those that are shown."""
    x = [row["learning_rate"] * 10**shift for row in line]
    mean, low, high = ([row[end] for row in line] for end in ("mean", "low", "high"))
    hover = [
        f"{page_style.name_of(label)} at {row['learning_rate']:g}<br>{row['mean']:+.3f}"
        f" [{row['low']:+.3f}, {row['high']:+.3f}] {row['verdict']}, {row['seeds']} seeds"
        for row in line
    ]
    drawn = page_style.line_of(label, style, x=x, y=mean, customdata=hover, showlegend=True)
    drawn.update(
        mode="lines+markers",
        marker={"symbol": f"{style['symbol']}-open", "size": 1.4 * page_style.marker},
        error_y=error_bar(np.array(mean), low, high, 0.6 * page_style.line),
        hovertemplate="%{customdata}<extra></extra>",
        legendgroup=label,
    )
    is_shown = [row["verdict"] == "shown" for row in line]
    filled = page_style.line_of(
        label,
        style,
        x=[value for value, of in zip(x, is_shown, strict=True) if of],
        y=[value for value, of in zip(mean, is_shown, strict=True) if of],
    )
    filled.update(mode="markers", marker_size=1.4 * page_style.marker, hoverinfo="skip")
    return [drawn, filled.update(showlegend=False, legendgroup=label)]
