"""Plot of any recorded quantity of runs against steps, seconds or tokens.

A line is `{"label", "seed", "x", "y"}`, smoothed on request. Reads no run. `curves` draws both
losses of a comparison.
"""

import functools
from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from qtha_lab.core.errors import Refusal
from qtha_lab.core.method_styles import shown
from qtha_lab.figures.loss_curves import decimate
from qtha_lab.figures.machinery import labels, theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.table import Table, value_text

MOST_SMOOTHING = 0.999
FAINT = 0.3
Values = Sequence[float] | np.ndarray
Style = dict[str, str]


class Line(TypedDict):
    """Recorded values of one quantity of one run."""

    label: str
    seed: int
    x: Values
    y: Values


def _example() -> dict:
    def line(label: str, seed: int, floor: float) -> Line:
        steps = np.arange(1, 121)
        noise = 0.12 * np.sin(7.0 * steps + 3 * seed) * np.sin(1.3 * steps)
        fall = floor + 0.05 * seed + (4.4 - floor) * np.exp(-steps / 30)
        return {"label": label, "seed": seed, "x": steps.tolist(), "y": (fall + noise).tolist()}

    pairs = (("lora(r=2)", 3.9), ("qtha(r=4)", 4.05))
    return {
        "lines": [line(label, seed, floor) for label, floor in pairs for seed in (0, 1, 2)],
        "smoothing": 0.8,
    }


@figure_function(example=_example)
def run_history(
    lines: Iterable[Line],
    x: str = "step",
    y: str = "train_loss",
    smoothing: float = 0.0,
    log_x: bool = False,
    log_y: bool = False,
    bands: bool = True,
    theme: str = "light",
) -> Figure:
    """Plot one quantity of several runs, with seeds as a mean and a min–max band.

    Args:
        lines: Recorded values, one line per run.
        x: Quantity of the x axis in `labels`: "step", "seconds" or "tokens".
        y: Quantity of the y axis in `labels`.
        smoothing: Decay of the running mean, 0 to 0.999; the recorded line stays, faint.
        log_x: Use a logarithmic x axis; values of 0 and below are omitted.
        log_y: Use a logarithmic y axis; values of 0 and below are omitted.
        bands: Draw the seeds of a label as one mean and band; else each is a line.
        theme: "light", "dark" or "page".

    Example:
        >>> run = {"label": "lora", "seed": 0, "x": [1, 2], "y": [6.3, 5.5]}
        >>> run_history([run]).alt
        'Train loss against step: lora from 6.300 to 5.500 (1 run).'
    """
    if not 0 <= smoothing <= MOST_SMOOTHING:
        raise Refusal(f"smoothing must be from 0 to {MOST_SMOOTHING}, got {smoothing}.")
    recorded = [line for line in lines if len(line["x"])]
    title = f"{labels.words_of(y)} against {labels.label_of(x).words}"
    smooth_lines: list[Line] = [{**line, "y": smooth(line["y"], smoothing)} for line in recorded]
    alt = f"{title}: {_findings(smooth_lines, y)}."
    caption = (
        f"{title} of {len(recorded)} run{'s' if len(recorded) != 1 else ''}. "
        + (
            f"Lines are running means of weight {smoothing:g}, what was recorded stands faint"
            " behind them. "
            if smoothing
            else ""
        )
        + "Of several seeds: the mean, and a band from the smallest to the largest. Each run had"
        " the learning rate given to it; the figure does not show how it would do at another."
    )
    rows = [
        (line["label"], line["seed"], a, b, c)
        for line, smoothed in zip(recorded, smooth_lines, strict=True)
        for a, b, c in zip(line["x"], line["y"], smoothed["y"], strict=True)
    ]
    table = Table(("method", "seed", x, y, "smoothed"), rows)
    draw = functools.partial(
        _draw, recorded, x=x, y=y, smoothing=smoothing, logs=(log_x, log_y), bands=bands
    )
    return Figure(f"{y}_by_{x}", draw, caption, alt, table, theme, title)


def smooth(values: Values, weight: float) -> np.ndarray:
    """Return the exponentially weighted running mean, corrected for the first values.

    Each earlier value has `weight` times the weight of the next.

    Source:
        Kingma and Ba 2015, arXiv:1412.6980, section 3 (bias correction).

    Example:
        >>> smooth([1.0, 3.0], 0.5).tolist()  # (0.5 * 1 + 3) / (0.5 + 1)
        [1.0, 2.3333333333333335]
    """
    numbers = np.asarray(values, dtype=float)
    if not weight:
        return numbers
    known = pd.Series(numbers).where(np.isfinite(numbers))
    return known.ewm(alpha=1 - weight, ignore_na=True).mean().where(known.notna()).to_numpy()


def _findings(lines: Sequence[Line], y: str) -> str:
    ends: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        known = np.asarray(line["y"], dtype=float)
        known = known[np.isfinite(known)]
        if len(known):
            ends.setdefault(line["label"], []).append((known[0], known[-1]))
    if not ends:
        return "no run has recorded it"
    return "; ".join(
        f"{shown(label)} from {value_text(np.mean([a for a, _ in pairs]).item(), y)} to"
        f" {value_text(np.mean([b for _, b in pairs]).item(), y)} ({len(pairs)}"
        f" run{'s' if len(pairs) > 1 else ''})"
        for label, pairs in ends.items()
    )


def _draw(
    lines: list[Line],
    page_style: PageStyle,
    *,
    x: str,
    y: str,
    smoothing: float,
    logs: tuple[bool, bool],
    bands: bool,
) -> go.Figure:
    figure = go.Figure()
    if not lines:
        middle = {"x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper", "showarrow": False}
        words = {"text": "No run has recorded it yet.", **middle}
        return figure.update_layout(annotations=[words], xaxis_visible=False, yaxis_visible=False)
    by_label: dict[str, list[Line]] = {}
    for line in lines:
        by_label.setdefault(line["label"], []).append(line)
    styles = theme.distinct_styles(by_label)
    for label, seeds in by_label.items():
        style = styles[label]
        if bands and len(seeds) > 1:
            figure.add_traces(_band(label, seeds, style, smoothing, page_style))
        else:
            for place, line in enumerate(seeds):
                figure.add_traces(_line(line, style, smoothing, page_style, place == 0))
    along, up = [v for line in lines for v in line["x"]], [v for line in lines for v in line["y"]]
    figure.update_xaxes(title_text=labels.axis(x), **(labels.log_axis(along) if logs[0] else {}))
    figure.update_yaxes(title_text=labels.axis(y), **(labels.log_axis(up) if logs[1] else {}))
    return page_style.with_legend(figure, list(by_label))


def _line(
    line: Line, style: Style, smoothing: float, page_style: PageStyle, named: bool
) -> list[go.Scatter]:
    """Return the recorded line, faint where it is smoothed, and the running mean."""
    words = f"seed {line['seed']}"
    smoothed = smooth(line["y"], smoothing)
    trace = _trace(line["label"], style, line["x"], smoothed, words, page_style)
    trace.showlegend = named
    if not smoothing:
        return [trace]
    raw = _trace(line["label"], style, line["x"], line["y"], f"{words}, as recorded", page_style)
    return [_faint(raw), trace]


def _band(
    label: str, seeds: list[Line], style: Style, smoothing: float, page_style: PageStyle
) -> list[go.Scatter]:
    """Return the min–max band and mean over seeds, with each seed faint behind.

    The band covers the points that all seeds recorded.
    """
    common = sorted(set.intersection(*(set(map(float, line["x"])) for line in seeds)))
    grid = np.array([_at(line["x"], smooth(line["y"], smoothing), common) for line in seeds])
    low, high, mean = (
        _trace(
            label, style, common, f(grid, axis=0), f"{f.__name__} of {len(seeds)} seeds", page_style
        )
        for f in (np.min, np.max, np.mean)
    )
    color = theme.faint(style["color"])
    for edge in (low, high):
        edge.update(mode="lines", line_width=0, hoverinfo="skip", hovertemplate=None)
        edge.showlegend = False
    high.update(fill="tonexty", fillcolor=color)
    raw = []
    if smoothing:
        of_all = np.array([_at(line["x"], line["y"], common) for line in seeds]).mean(axis=0)
        raw = [_faint(_trace(label, style, common, of_all, "mean as recorded", page_style))]
    return [low, high, *raw, mean]


def _at(x: Values, y: Values, places: Sequence[float]) -> list[float]:
    values = dict(zip(map(float, x), map(float, y), strict=True))
    return [values[place] for place in places]


def _trace(
    label: str, style: Style, x: Values, y: Values, words: str, page_style: PageStyle
) -> go.Scatter:
    """Return a line with all points on a screen, or thinned points on paper.

    A screen thins the points itself.
    """
    if not page_style.on_screen:
        x, y = decimate(x, y)
    few = len(x) <= 12
    hover = f"{shown(label)} · {words}<br>%{{x:,.6g}}: %{{y:.5g}}<extra></extra>"
    trace = page_style.line_of(
        label, style, x=[*map(float, x)], y=[*map(float, y)], hovertemplate=hover
    )
    return trace.update(legendgroup=label, mode="lines+markers" if few else "lines")


def _faint(trace: Any) -> go.Scatter:
    """Make a line thin, pale and absent from the legend."""
    color = theme.faint(trace.line.color, FAINT)
    trace.update(mode="lines", line={"color": color, "dash": "solid"}, showlegend=False)
    trace.line.width *= 0.7
    return trace
