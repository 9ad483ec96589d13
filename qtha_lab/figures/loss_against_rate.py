"""Plot of the final result against the learning rate, one line per method.

Bands cover the seeds, and the best rate is marked. Takes final results as numbers; the best rate is
the best measured one, not a fit.
"""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple, TypedDict

import numpy as np
import plotly.graph_objects as go

from qtha_lab.core.method_styles import shown
from qtha_lab.core.metrics import MEASURES
from qtha_lab.figures.machinery import labels, theme, ticks
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import MOST_BANDS, band, error_bar, rule
from qtha_lab.figures.machinery.table import Table, value_text

FAR = 4  # values more than this many times as far from the best as the median leave the frame


class End(TypedDict):
    """Final result of a run at a learning rate; None for a diverged run."""

    label: str
    seed: int
    learning_rate: float
    value: float | None


class AtRate(NamedTuple):
    """Mean and range over the seeds of a label at one learning rate."""

    rate: float
    mean: float
    low: float
    high: float
    seeds: int
    diverged: int


def _example() -> dict:
    rates = (0.001, 0.003, 0.01, 0.03, 0.1)
    losses = {
        "lora(r=2)": (4.52, 4.31, 4.15, 4.22, 4.71),
        "qtha(r=4)": (4.60, 4.38, 4.20, 4.41, None),
    }
    return {
        "ends": [
            {
                "label": label,
                "seed": seed,
                "learning_rate": rate,
                "value": None if loss is None else loss + lift,
            }
            for label, by_rate in losses.items()
            for rate, loss in zip(rates, by_rate, strict=True)
            for seed, lift in enumerate((0.0, 0.05, -0.03))
        ]
    }


@figure_function(example=_example)
def loss_against_rate(
    ends: Sequence[End], measure: str = "eval_loss", theme: str = "light"
) -> Figure:
    r"""Plot the final result of each method against the learning rate.

    Args:
        ends: One entry per run.
        measure: Name of the measured quantity in `labels`.
        theme: "light", "dark" or "page".

    Example:
        >>> run = {"label": "lora", "seed": 0}
        >>> values = {0.01: 4.1, 0.1: 5.0}
        >>> ends = [run | {"learning_rate": r, "value": v} for r, v in values.items()]
        >>> print(loss_against_rate(ends).alt.replace(". ", ".\n"))
        Evaluation loss is best at these learning rates: lora 4.100 at 0.01 (1 seed).
        The best for all together is 0.01.
        At the edge of what was tried: lora.
    """
    by_label = {label: at_rates(ends, label) for label in dict.fromkeys(e["label"] for e in ends)}
    better = _better(measure)
    best = {label: better(points) for label, points in by_label.items() if _whole(points)}
    several = any(len(points) > 1 for points in by_label.values())
    shared = shared_best(by_label, measure) if several else None
    words = labels.label_of(measure).words
    words = words[:1].upper() + words[1:]
    tried = {label: p for label, p in best.items() if len(by_label[label]) > 1}
    alt = _alt(by_label, best, shared, measure, words)
    ends_are = "a band" if len(by_label) <= MOST_BANDS else "bars"
    caption = (
        f"{words} at the end of training against the learning rate: a line per method, through the"
        f" means over its seeds, and {ends_are} from the smallest to the largest. The large symbol"
        " is the best of several rates of a method, the dotted upright line the best rate for all"
        " together; a cross at the edge is a rate at which a run diverged, and a line to what is"
        " far worse than the rest leaves the frame. A best at the edge of what was tried may lie"
        " beyond it."
    )
    records = [_record(label, p, measure) for label, points in by_label.items() for p in points]
    draw = functools.partial(_draw, by_label, tried, shared, measure)
    title = f"{words} against learning rate"
    return Figure(f"{measure}_by_rate", draw, caption, alt, Table.of(records), theme, title)


def _record(label: str, point: AtRate, measure: str) -> dict:
    values = {measure: point.mean, "smallest": point.low, "largest": point.high}
    return {
        "method": label,
        "learning_rate": point.rate,
        **{name: None if math.isnan(value) else value for name, value in values.items()},
        "seeds": point.seeds,
        "diverged": point.diverged,
    }


def _alt(
    by_label: dict[str, list[AtRate]],
    best: dict[str, AtRate],
    shared: float | None,
    measure: str,
    words: str,
) -> str:
    """State the best learning rates, diverged runs and best rates at a range end."""
    tried = {label: p for label, p in best.items() if len(by_label[label]) > 1}
    alone = {label: p for label, p in best.items() if label not in tried}
    lost = [
        f"{shown(label)} at {p.rate:g}" for label, of in by_label.items() for p in of if p.diverged
    ]
    at_edge = [shown(label) for label, p in best.items() if _at_edge(p, by_label[label])]
    parts = [
        f"{words} is best at these learning rates: {_findings(tried, measure)}." if tried else "",
        f"Run at one learning rate alone: {_findings(alone, measure)}." if alone else "",
        "" if best else f"{words} by learning rate: 0 runs ended.",
        "" if shared is None else f"The best for all together is {shared:g}.",
        f"Diverged, a cross at the edge: {', '.join(lost)}." if lost else "",
        f"At the edge of what was tried: {', '.join(at_edge)}." if at_edge else "",
    ]
    return " ".join(filter(None, parts))


def _findings(best: dict[str, AtRate], measure: str) -> str:
    return "; ".join(
        f"{shown(label)} {value_text(p.mean, measure)} at {p.rate:g} ({p.seeds}"
        f" seed{'s' if p.seeds > 1 else ''})"
        for label, p in best.items()
    )


def at_rates(ends: Sequence[End], label: str) -> list[AtRate]:
    """Return the means over seeds by rising rate; a diverged seed leaves no mean."""
    by_rate: dict[float, list[End]] = {}
    for end in ends:
        if end["label"] == label:
            by_rate.setdefault(end["learning_rate"], []).append(end)
    points = []
    for rate, here in sorted(by_rate.items()):
        seeds = len({end["seed"] for end in here})  # a repeated run adds no seed
        values = [end["value"] for end in here]
        numbers = [v for v in values if v is not None]
        whole = len(numbers) == len(values)
        mean, low, high = (
            (float(np.mean(numbers)), min(numbers), max(numbers)) if whole else (math.nan,) * 3
        )
        points.append(AtRate(rate, mean, low, high, seeds, len(values) - len(numbers)))
    return points


def shared_best(by_label: dict[str, list[AtRate]], measure: str) -> float | None:
    """Return the common rate with the best average of means; None without common rates.

    Example:
        >>> points = [AtRate(0.1, 3.0, 3.0, 3.0, 1, 0), AtRate(1.0, 2.0, 2.0, 2.0, 1, 0)]
        >>> shared_best({"a": points, "b": points[:1]}, "eval_loss")
        0.1
    """
    rates = [{p.rate: p.mean for p in _whole(points)} for points in by_label.values()]
    common = set.intersection(*map(set, rates)) if rates else set()
    sign = 1 if _lower_is_better(measure) else -1
    return min(
        sorted(common), key=lambda rate: sign * np.mean([of[rate] for of in rates]), default=None
    )


def _lower_is_better(measure: str) -> bool:
    return measure not in MEASURES or MEASURES[measure].better == "lower"


def _better(measure: str):
    pick = min if _lower_is_better(measure) else max
    return lambda points: pick(_whole(points), key=lambda p: p.mean)


def _whole(points: list[AtRate]) -> list[AtRate]:
    return [p for p in points if not p.diverged]


def _at_edge(best: AtRate, points: list[AtRate]) -> bool:
    return len(points) > 1 and best.rate in (points[0].rate, points[-1].rate)


def _draw(
    by_label: dict[str, list[AtRate]],
    best: dict[str, AtRate],
    shared: float | None,
    measure: str,
    page_style: PageStyle,
) -> go.Figure:
    figure = go.Figure()
    styles = theme.distinct_styles(by_label)
    for label, points in by_label.items():
        edges, line = _band(label, _whole(points), styles[label], page_style)
        if len(by_label) <= MOST_BANDS:
            figure.add_traces(edges)
        else:
            whole = _whole(points)
            mean, low, high = ([getattr(p, e) for p in whole] for e in ("mean", "low", "high"))
            line.update(error_y=error_bar(mean, low, high, 0.6 * page_style.line))
        figure.add_trace(line)
    for label, point in best.items():
        marker_trace = page_style.line_of(
            label, styles[label], x=[point.rate], y=[point.mean], mode="markers"
        )
        hover = f"{label}: best of those tried<br>%{{x:g}}: %{{y:.5g}}<extra></extra>"
        marker_trace.update(
            marker_size=2.2 * page_style.marker, showlegend=False, hovertemplate=hover
        )
        figure.add_trace(marker_trace)
    values = [v for points in by_label.values() for p in _whole(points) for v in (p.low, p.high)]
    frame = frame_of(values, _lower_is_better(measure))
    figure.add_traces(_diverged(by_label, styles, page_style, frame))
    if shared is not None:
        figure.add_vline(x=shared, line=rule(page_style), layer="below")
    rates = [p.rate for points in by_label.values() for p in points]
    figure.update_xaxes(title_text=labels.axis("learning_rate"), **ticks.axis_of_rates(rates))
    figure.update_yaxes(title_text=labels.axis(measure), range=frame)
    return page_style.with_legend(figure, list(by_label))


def _band(
    label: str, points: list[AtRate], style: dict, page_style: PageStyle
) -> tuple[list[go.Scatter], go.Scatter]:
    """Draw the edges of a band over the seeds, and a line of means."""
    rates = [p.rate for p in points]
    low, high = ([getattr(p, end) for p in points] for end in ("low", "high"))
    edges = band(label, rates, low, high, style["color"])
    hover = f"{label}<br>%{{x:g}}: %{{y:.5g}} over %{{customdata}} seeds<extra></extra>"
    line = page_style.line_of(
        label, style, x=rates, y=[p.mean for p in points], hovertemplate=hover
    )
    line.update(customdata=[p.seeds for p in points], legendgroup=label)
    return edges, line


def frame_of(values: Sequence[float], lower_is_better: bool = True) -> list[float] | None:
    """Return axis limits that resolve the good values; None where all values fit.

    Example:
        >>> frame_of([4.1, 4.2, 4.3]), frame_of([4.0, 4.25, 9.0])
        (None, [3.92, 5.08])
    """
    order = sorted(values, reverse=not lower_is_better)
    if not order:
        return None
    reach = FAR * (order[len(order) // 2] - order[0])
    if not reach or abs(order[-1] - order[0]) <= abs(reach):
        return None
    return sorted((order[0] - 0.08 * reach, order[0] + 1.08 * reach))


def _diverged(
    by_label: dict[str, list[AtRate]],
    styles: dict,
    page_style: PageStyle,
    frame: list[float] | None,
) -> list[go.Scatter]:
    """Mark each rate with a diverged run by a cross at the worse edge."""
    whole = [v for points in by_label.values() for p in _whole(points) for v in (p.low, p.high)]
    if not whole:
        return []
    edge = frame[1] if frame else max(whole) + 0.06 * (max(whole) - min(whole) or 1.0)
    marker_traces = []
    for label, points in by_label.items():
        lost = [p for p in points if p.diverged]
        if lost:
            hover = f"{label}<br>%{{x:g}}: %{{customdata}} diverged<extra></extra>"
            marker_trace = page_style.line_of(
                label, styles[label], x=[p.rate for p in lost], y=[edge] * len(lost)
            )
            marker_trace.update(
                mode="markers", showlegend=False, hovertemplate=hover, cliponaxis=False
            )
            marker_trace.update(customdata=[p.diverged for p in lost])
            marker_traces.append(
                marker_trace.update(marker={"symbol": "x", "size": 1.6 * page_style.marker})
            )
    return marker_traces
