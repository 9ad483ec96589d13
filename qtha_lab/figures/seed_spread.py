"""Plot of the final result of every seed by method, with the means.

Shows the spread over seeds, which a mean hides. Tests no hypothesis.
"""

import functools
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from qtha_lab.figures.machinery import labels, theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import NO_TICKS, row_name
from qtha_lab.figures.machinery.table import Table, value_text


def _example() -> dict:
    return {
        "values": {
            "lora(r=8)": [4.084, 4.136, 4.146],
            "lora(r=2)": [4.124, 4.153, 4.179],
            "qtha(r=4,waist=16,bond_dim=3,init=balanced)": [4.165, 4.212, 4.235],
        }
    }


@figure_function(example=_example)
def seed_spread(
    values: Mapping[str, Sequence[float]], measure: str = "eval_loss", theme: str = "light"
) -> Figure:
    """Plot every run's value as a dot, one row per method.

    Args:
        values: One value per seed, by label.
        measure: Name of the measured quantity in `labels`.
        theme: "light", "dark" or "page".

    Example:
        >>> seed_spread({"lora": [4.0, 4.2], "qtha": [4.4]}).alt
        'Evaluation loss of every seed: lora 4 to 4.2, mean 4.1 (2 seeds); qtha 4.4 (1 seed).'
    """
    by_label = {
        label: [float(v) for v in numbers] for label, numbers in values.items() if len(numbers)
    }
    findings = (
        "; ".join(f"{label} {_spread(numbers)}" for label, numbers in by_label.items())
        or "no run has ended"
    )
    alt = f"{labels.words_of(measure)} of every seed: {findings}."
    caption = (
        f"{labels.capital(labels.axis(measure))} of every run: a symbol is a seed, the upright"
        " stroke the mean. So few seeds show how far runs lie apart; they do not prove an order."
    )
    rows = [
        (label, n, v) for label, numbers in by_label.items() for n, v in enumerate(numbers, start=1)
    ]
    table = Table(("method", "run", measure), rows)
    draw = functools.partial(_draw, by_label, measure)
    title = f"{labels.words_of(measure)} by seed"
    return Figure(f"seeds_{measure}", draw, caption, alt, table, theme, title)


def _spread(values: list[float]) -> str:
    count = f"({len(values)} seed{'s' if len(values) > 1 else ''})"
    if len(values) == 1:
        return f"{value_text(values[0])} {count}"
    return f"{min(values):.4g} to {max(values):.4g}, mean {np.mean(values):.4g} {count}"


def _draw(values: dict[str, list[float]], measure: str, page_style: PageStyle) -> go.Figure:
    figure = go.Figure()
    styles = theme.distinct_styles(values)
    y = 0.0  # in letter heights, downward
    for label, numbers in values.items():
        name = page_style.wrap(label, page_style.width - 3 * page_style.font)
        figure.add_annotation(row_name(name, y, page_style))
        y += 1.3 * (name.count("<br>") + 1) + 0.9
        figure.add_traces(_row(label, numbers, y, styles[label], page_style))
        y += 1.1
    figure.update_xaxes(title_text=labels.axis(measure), nticks=6)
    figure.update_yaxes(range=[y, -0.3], **NO_TICKS)
    margin = {"l": page_style.font, "t": 0.5 * page_style.font}
    height = (y + 0.3 + 3.5) * page_style.font
    return figure.update_layout(height=height, margin=margin, showlegend=False)


def _row(
    label: str, values: list[float], at: float, style: dict[str, str], page_style: PageStyle
) -> list[go.Scatter]:
    mean = float(np.mean(values))
    hover = f"{label}<br>%{{x:.5g}}<extra></extra>"
    dots = page_style.line_of(label, style, x=values, y=[at] * len(values), hovertemplate=hover)
    dots.update(mode="markers", marker_size=1.3 * page_style.marker, marker_opacity=0.6)
    marker = {"symbol": "line-ns", "size": 2.4 * page_style.marker}
    marker["line"] = {"width": page_style.line, "color": page_style.inks.text}
    stroke = f"{label}<br>mean %{{x:.5g}}<extra></extra>"
    return [dots, go.Scatter(x=[mean], y=[at], mode="markers", marker=marker, hovertemplate=stroke)]
