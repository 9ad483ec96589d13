"""Lines or dots of a frame, one per label: the builder of figures with axes.

Intervals are bands or error bars. A figure adds its own marks to the result.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jaxtyping import Float

from qtha_lab.core.method_styles import shown
from qtha_lab.figures.machinery import labels, theme
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.parts import traces_of
from qtha_lab.figures.machinery.table import value_text

Style = Mapping[str, str]
Numbers = Sequence[float] | np.ndarray
LEAST_SEEDS = 3  # fewest seeds of an interval; fewer seeds show the smallest and the largest value
MOST_BANDS = 3  # bands in one panel; more would hide each other, and error bars replace them
LEVEL = 0.05
NO_TICKS = {"showticklabels": False, "ticks": "", "showgrid": False, "showline": False}


def panels(
    frame: pd.DataFrame,
    x: str,
    y: str,
    by: str,
    page_style: PageStyle,
    *,
    each: str = "",
    hover: str = "%{x}: %{y:.4g}",
    data: str = "",
    mode: str | Mapping[str, str] = "lines+markers",
    log: str = "",
    ends: Sequence[str] = (),
    bands: bool = True,
    styles: Mapping[str, Style] | None = None,
    xaxis: Mapping[str, Any] | None = None,
    yaxis: Mapping[str, Any] | None = None,
    layout: Mapping[str, Any] | None = None,
) -> go.Figure:
    """Draw one line or set of dots per label, with axis titles and a legend.

    Args:
        frame: One row per point, in the order of drawing.
        x: Column along the x axis, a name in `labels`.
        y: Column along the y axis, a name in `labels`.
        by: Column of the labels, which have colours and names in the legend.
        page_style: Theme and size of the page.
        each: Column that splits a label into several lines, such as the seed.
        hover: Hover text behind the label, in plotly's format.
        data: Column of the hover text's `%{customdata}`.
        mode: "lines", "markers" or "lines+markers", for all labels or by label.
        log: Letters of the logarithmic axes: "", "x", "y" or "xy".
        ends: Columns with the ends of an interval around y.
        bands: Draw intervals as bands, else as error bars.
        styles: Colour, dash and symbol by label; None uses those of the methods.
        xaxis: Further entries of the x axis.
        yaxis: Further entries of the y axis.
        layout: Further entries of the layout, such as the height.
    """
    names = list(dict.fromkeys(frame[by]))
    styles = styles or theme.distinct_styles(names)
    figure, named = go.Figure(layout=dict(layout or {})), set()
    for key, rows in frame.groupby([by, each] if each else [by], sort=False):
        label, *rest = key
        head = ", ".join([shown(label), *(f"{each} {value}" for value in rest)])
        line = page_style.line_of(label, dict(styles[label]), x=rows[x], y=rows[y])
        line.update(mode=mode if isinstance(mode, str) else mode[label])
        line.update(hovertemplate=f"{head}<br>{hover}<extra></extra>")
        line.update(showlegend=False if label in named else None)
        line.update(customdata=rows[data] if data else None)
        named.add(label)
        if ends and bands:
            low, high = (rows[end] for end in ends)
            figure.add_traces(band(label, rows[x], low, high, styles[label]["color"]))
            line.update(legendgroup=label)
        elif ends:
            low, high = (rows[end] for end in ends)
            line.update(error_y=error_bar(rows[y], low, high, 0.6 * page_style.line))
        figure.add_trace(line)
    for letter, name, more in (("x", x, xaxis), ("y", y, yaxis)):
        scale = log_axis(frame[name]) if letter in log else {}
        axis = {"title_text": labels.axis(name), **scale, **(more or {})}
        figure.update_layout({f"{letter}axis": axis})
    return page_style.with_legend(figure, names)


def log_axis(values: pd.Series) -> dict[str, Any]:
    """Return a logarithmic axis: counts in thousands, small numbers in powers of ten."""
    counts = len(values) and values.min() >= 1
    return labels.log_axis(values, labels.thousands if counts else labels.power_of_ten)


def band(label: str, x: Any, low: Any, high: Any, color: str) -> list[go.Scatter]:
    """Return the invisible edges of a band, which fills the space between them.

    Args:
        label: Label of the line inside the band.
        x: Places of the edges.
        low: Lower edge.
        high: Upper edge.
        color: Colour of the line, drawn faintly.
    """
    edge = {"x": x, "mode": "lines", "line_width": 0, "hoverinfo": "skip"}
    edge |= {"showlegend": False, "legendgroup": label}
    fill = {"fill": "tonexty", "fillcolor": theme.faint(color)}
    return [go.Scatter(y=low, **edge), go.Scatter(y=high, **edge, **fill)]


def rule(page_style: PageStyle, dash: str = "dot", width: float = 0.7) -> dict[str, Any]:
    """Return the line of a reference mark.

    Args:
        page_style: Style of the page.
        dash: Dash of the line.
        width: Width in units of the page's lines.
    """
    return {"dash": dash, "width": width * page_style.line, "color": page_style.inks.text}


def with_front(figure: go.Figure, x: Any, y: Any, page_style: PageStyle) -> go.Figure:
    """Return the figure with a dotted line through points, behind all other traces."""
    figure.add_scatter(
        x=x, y=y, mode="lines", line=rule(page_style), showlegend=False, hoverinfo="skip"
    )
    *others, front = traces_of(figure)
    figure.data = [front, *others]
    return figure


def ends_by_size(frame: pd.DataFrame, size: str, value: str) -> str:
    """Describe the mean of each label at its largest size."""
    words = []
    for label, of in frame.groupby("label", sort=False):
        largest = of[size].max()
        at = of if pd.isna(largest) else of[of[size] == largest]
        end = "" if pd.isna(largest) else f" at {largest:g}"
        words.append(f"{shown(str(label))} {value_text(float(at[value].mean()))}{end}")
    return "; ".join(words) or "no runs yet"


def draw_by_size(
    frame: pd.DataFrame,
    size: str,
    value: str,
    page_style: PageStyle,
    log: str = "",
    mode: str = "lines+markers",
    layout: Mapping[str, Any] | None = None,
) -> go.Figure:
    """Draw means over seeds against a size, and a dot per seed.

    A mean without a size is a line across.
    """
    means = frame.groupby(["label", size], sort=False, dropna=False)[value].mean().reset_index()
    means = means.sort_values(size, key=lambda sizes: sizes.fillna(0).astype(float), kind="stable")
    sizes = sorted(frame[size].dropna().unique())
    names = list(dict.fromkeys(frame["label"]))
    across = means[means[size].isna()]
    spans = across.drop(columns=size).merge(pd.DataFrame({size: sizes}), how="cross")
    means = pd.concat([means.dropna(), spans])
    means = means.sort_values("label", key=lambda of: of.map(names.index), kind="stable")
    scale = log_axis(frame[value]) if log else {}
    modes = dict.fromkeys(names, mode) | dict.fromkeys(across["label"], "lines")
    hover = f"{labels.label_of(size).words} %{{x}}: %{{y:.4g}}"
    figure = panels(
        means,
        size,
        value,
        "label",
        page_style,
        hover=hover,
        mode=modes,
        xaxis={"tickvals": sizes},
        yaxis=scale,
        layout=layout,
    )
    styles = theme.distinct_styles(names)
    for label, of in frame.dropna().groupby("label", sort=False):
        marker = {"color": styles[str(label)]["color"], "size": 4, "opacity": 0.5}
        figure.add_scatter(
            x=of[size],
            y=of[value],
            mode="markers",
            marker=marker,
            showlegend=False,
            hoverinfo="skip",
        )
    return figure


def ends_over_seeds(
    values: Float[np.ndarray, "seeds points"],
) -> tuple[Float[np.ndarray, "points"], Float[np.ndarray, "points"]]:
    """Compute the 95 % interval of the mean over seeds; of two seeds, both values.

    Example:
        >>> low, high = ends_over_seeds(np.array([[1.0], [2.0], [3.0]]))
        >>> round(float(low[0]), 3), round(float(high[0]), 3)  # 2 ± 4.303 · 1 / √3
        (-0.484, 4.484)
    """
    seeds = len(values)
    if seeds < LEAST_SEEDS:
        return values.min(0), values.max(0)
    from scipy import stats

    half = stats.t.ppf(1 - LEVEL / 2, seeds - 1) * values.std(0, ddof=1) / np.sqrt(seeds)
    return values.mean(0) - half, values.mean(0) + half


def interval_words(seeds: Sequence[int]) -> str:
    """Name the ends that `ends_over_seeds` computes for these numbers of seeds.

    Example:
        >>> interval_words([20, 20])
        "its 95 % interval over the seeds (Student's t)"
    """
    interval = "its 95 % interval over the seeds (Student's t)"
    if all(count >= LEAST_SEEDS for count in seeds):
        return interval
    ends = "the smallest and the largest"
    return (
        ends if all(count < LEAST_SEEDS for count in seeds) else f"{interval}; of two seeds {ends}"
    )


def error_bar(mean: Numbers, low: Numbers, high: Numbers, width: float) -> dict[str, Any]:
    """Return plotly's error bars with these ends."""
    middle = np.asarray(mean, dtype=float)
    return {
        "type": "data",
        "symmetric": False,
        "thickness": width,
        "width": 2.5 * width,
        "array": np.asarray(high, dtype=float) - middle,
        "arrayminus": middle - np.asarray(low, dtype=float),
    }


def striped(color: str, shape: str, page_style: PageStyle, paper: str = "") -> dict[str, Any]:
    """Return the marker of bars with stripes."""
    stripes = {"shape": shape, "size": 0.5 * page_style.font, "solidity": 0.25, "bgcolor": color}
    return {"color": color, "pattern": stripes | {"fgcolor": paper or page_style.inks.paper}}


def note(words: str, page_style: PageStyle, **place: Any) -> dict[str, Any]:
    """Return a text without an arrow, in the font size of the page."""
    return {"text": words, "showarrow": False, "font": {"size": page_style.font}, **place}


def row_name(words: str, y: float, page_style: PageStyle, **more: Any) -> dict[str, Any]:
    """Return the left-aligned name of a row, on a background that hides the grid."""
    place = {"xref": "paper", "x": 0, "xanchor": "left", "y": y, "yanchor": "top", "borderpad": 0}
    look = {"align": "left", "bgcolor": page_style.inks.paper}
    return note(words, page_style, **place, **look, **more)
