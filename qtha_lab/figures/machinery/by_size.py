"""Plot of a measurement against a size, shared by several figures.

Each label has a line through the means over seeds, and each seed a dot.
"""

from collections.abc import Iterable
from typing import NamedTuple

import plotly.graph_objects as go

from qtha_lab.core.method_styles import shown
from qtha_lab.figures.machinery import labels, ticks
from qtha_lab.figures.machinery import theme as themes
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.table import value_text


class Sized(NamedTuple):
    """Value of one label with one seed; `size` is None for a horizontal line."""

    label: str
    size: float | None
    seed: int
    value: float


def means(points: Iterable[Sized]) -> dict[str, list[tuple[float | None, float]]]:
    """Return the mean of each label at each of its sizes, ascending.

    Example:
        >>> means([Sized("a", 2, 0, 1.0), Sized("a", 2, 1, 3.0), Sized("b", None, 0, 5.0)])
        {'a': [(2, 2.0)], 'b': [(None, 5.0)]}
    """
    values: dict[str, dict[float | None, list[float]]] = {}
    for point in points:
        values.setdefault(point.label, {}).setdefault(point.size, []).append(point.value)
    return {
        label: [(size, sum(at[size]) / len(at[size])) for size in sorted(at, key=lambda s: s or 0)]
        for label, at in values.items()
    }


def ends(points: Iterable[Sized]) -> str:
    """Describe the mean of each label at its largest size."""
    words = []
    for label, line in means(points).items():
        size, mean = line[-1]
        words.append(f"{shown(label)} {value_text(mean)}{'' if size is None else f' at {size:g}'}")
    return "; ".join(words) or "no runs yet"


def draw_by_size(
    points: list[Sized],
    size: str,
    value: str,
    page_style: PageStyle,
    *,
    log: bool = False,
    joined: bool = True,
) -> go.Figure:
    """Draw the lines and dots.

    Args:
        points: One point per label, size and seed.
        size: Name of the sizes in `labels`.
        value: Name of the values in `labels`.
        page_style: Theme and size of the page.
        log: Use a logarithmic axis for the values.
        joined: Draw lines through the means; otherwise draw only dots and means.
    """
    figure, lines = go.Figure(), means(points)
    styles = themes.distinct_styles(lines)
    sizes = sorted({point.size for point in points if point.size is not None})
    for label, line in lines.items():
        across = line[0][0] is None
        along = sizes if across else [at for at, _ in line]
        up = [line[0][1]] * len(along) if across else [mean for _, mean in line]
        hover = f"{shown(label)}<br>{labels.label_of(size).words} %{{x}}: %{{y:.4g}}<extra></extra>"
        trace = page_style.line_of(label, styles[label], x=along, y=up, hovertemplate=hover)
        mode = "lines" if across else "lines+markers" if joined else "markers"
        figure.add_trace(trace.update(mode=mode))
        dots = [] if across else [point for point in points if point.label == label]
        figure.add_scatter(
            x=[point.size for point in dots],
            y=[point.value for point in dots],
            mode="markers",
            marker={"color": styles[label]["color"], "size": 4, "opacity": 0.5},
            showlegend=False,
            hoverinfo="skip",
        )
    figure.update_xaxes(title_text=labels.axis(size), tickvals=sizes)
    figure.update_yaxes(title_text=labels.axis(value))
    if log:
        figure.update_yaxes(**ticks.log_axis([point.value for point in points], ticks.thousands))
    return page_style.with_legend(figure, list(lines))
