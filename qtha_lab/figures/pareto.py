"""Plot of quality against cost with the Pareto front, one point per method.

Cost may be parameters, time or memory. The front covers only the methods and runs shown.
"""

import functools
from collections.abc import Sequence
from typing import NotRequired, TypedDict

import plotly.graph_objects as go

from qtha_lab.core.errors import Refusal
from qtha_lab.core.metrics import MEASURES
from qtha_lab.figures.machinery import labels, theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import error_bar, with_front
from qtha_lab.figures.machinery.table import Table, value_text

BARS = {
    "range": ("bars from the smallest to the largest", ("smallest", "largest")),
    "interval": (
        "bars of 95 % intervals of the mean (Student's t over the seeds, where there are three)",
        ("low", "high"),
    ),
    "paired": (
        (
            "bars of the interval of the paired difference to {reference} over seeds and rows,"
            " drawn around each mean"
        ),
        ("low", "high"),
    ),
}


class Point(TypedDict):
    """Mean cost and quality of a method over seeds, with error bars where known."""

    label: str
    cost: float
    quality: float
    quality_low: NotRequired[float]
    quality_high: NotRequired[float]
    cost_low: NotRequired[float]
    cost_high: NotRequired[float]


def _example() -> dict:
    rows = [
        ("lora(r=8)", 30720, 4.122, 4.084, 4.146),
        ("lora(r=2)", 7680, 4.152, 4.124, 4.179),
        ("qtha(r=4,waist=16,bond_dim=3)", 6900, 4.236, 4.197, 4.264),
        ("qtha(r=4,waist=16,bond_dim=3,init=balanced)", 6900, 4.204, 4.165, 4.235),
        ("ia3", 1152, 4.301, 4.280, 4.322),
    ]
    names = ("label", "cost", "quality", "quality_low", "quality_high")
    return {"points": [dict(zip(names, row, strict=True)) for row in rows]}


@figure_function(example=_example)
def pareto(
    points: Sequence[Point],
    cost: str = "trainable_parameters",
    quality: str = "eval_loss",
    lower_is_better: bool | None = None,
    bars: str = "range",
    reference: str = "the first method",
    theme: str = "light",
) -> Figure:
    """Plot quality against cost with the Pareto front of undominated methods.

    Args:
        points: One per method; bars run from `quality_low` to `quality_high` and `cost_low` to
            `cost_high`, where costs differ between seeds (seconds do, parameters do not).
        cost: Name of the cost in `labels`; less is better.
        quality: Name of the quality in `labels`.
        lower_is_better: A lower quality value is better; None uses `qtha_lab.core.metrics`.
        bars: Meaning of the bars: "range" over the seeds, "interval" of the mean, or
            interval of the "paired" difference to a reference, which has no bar.
        reference: Name of the reference of paired differences.
        theme: "light", "dark" or "page".

    Example:
        >>> few = {"label": "a", "cost": 10, "quality": 3.0}
        >>> many = {"label": "b", "cost": 99, "quality": 3.5}
        >>> pareto([few, many]).alt
        'Of 2 methods 1 is not beaten in both evaluation loss and trainable parameters: a (10, 3).'
    """
    if bars not in BARS:
        raise Refusal(f"bars must be one of {', '.join(BARS)}, got {bars!r}.")
    of_bars, ends = BARS[bars]
    of_bars = of_bars.format(reference=reference)
    points = list(points)
    if lower_is_better is None:
        lower_is_better = quality not in MEASURES or MEASURES[quality].better == "lower"
    best = front(points, lower_is_better)
    winners = "; ".join(
        f"{p['label']} ({value_text(p['cost'])}, {value_text(p['quality'])})" for p in best
    )
    good, dear = labels.label_of(quality).words, labels.label_of(cost).words
    title = f"{labels.words_of(quality)} against {dear}"
    verb = "is" if len(best) == 1 else "are"
    alt = (
        f"Of {len(points)} methods {len(best)} {verb} not beaten in both {good} and {dear}:"
        f" {winners}."
    )
    caption = (
        f"{labels.capital(labels.axis(quality))} against {labels.axis(cost)}, means over the"
        f" seeds with {of_bars}. The dotted line joins the methods that no other beats in both;"
        f" {_OVERLAP[bars == 'paired']}"
    )
    if _is_log([p["cost"] for p in points]):
        caption += " The axis of the cost is logarithmic."
    names = {"label": "method", "cost": cost, "quality": quality}
    names |= dict(zip(("quality_low", "quality_high"), ends, strict=True))
    names |= dict(zip(("cost_low", "cost_high"), (f"{cost}, {end}" for end in ends), strict=True))
    records = [{names.get(k, k): v for k, v in p.items()} for p in points]
    draw = functools.partial(_draw, points, best, cost, quality)
    return Figure(f"pareto_{quality}_{cost}", draw, caption, alt, Table.of(records), theme, title)


_OVERLAP = {
    False: "bars that overlap leave the order open.",
    True: "a bar that reaches the level of the reference leaves the order of these two open.",
}


def front(points: Sequence[Point], lower_is_better: bool = True) -> list[Point]:
    """Return the points that no other point dominates, cheapest first.

    A point dominates another if it is at least as good in both values and better in one.

    Example:
        >>> values = {"a": (2, 3.0), "b": (1, 4.0), "c": (2, 5.0)}
        >>> points = [{"label": n, "cost": c, "quality": q} for n, (c, q) in values.items()]
        >>> [point["label"] for point in front(points)]
        ['b', 'a']
    """
    sign, best = 1 if lower_is_better else -1, []
    values = [(point["cost"], sign * point["quality"], place) for place, point in enumerate(points)]
    for cost, quality, place in sorted(values):
        if not best or quality < best[-1][1] or (cost, quality) == best[-1][:2]:
            best.append((cost, quality, place))
    return [points[place] for *_, place in best]


def _draw(
    points: list[Point], best: list[Point], cost: str, quality: str, page_style: PageStyle
) -> go.Figure:
    figure = go.Figure()
    styles = theme.distinct_styles(p["label"] for p in points)
    for point in points:
        figure.add_trace(_marker(point, styles[point["label"]], page_style))
    costs = [p["cost"] for p in points]
    scale = ", log scale" if _is_log(costs) else ""
    figure.update_xaxes(title_text=f"{labels.axis(cost)}{scale}", **_cost_axis(costs))
    figure.update_yaxes(title_text=labels.axis(quality))
    figure = page_style.with_legend(figure, [p["label"] for p in points])
    along, up = [p["cost"] for p in best], [p["quality"] for p in best]
    return with_front(figure, along, up, page_style)


def _cost_axis(costs: list[float]) -> dict:
    """Return a logarithmic axis for widely spread costs, else a linear one.

    The linear axis starts at zero where zero is near.
    """
    if _is_log(costs):
        return labels.log_axis(costs, labels.thousands)
    if costs and min(costs) > 2 * (max(costs) - min(costs)) > 0:
        edge = 0.15 * (max(costs) - min(costs))
        return {"range": [min(costs) - edge, max(costs) + edge], "nticks": 6}
    return {"rangemode": "tozero", "nticks": 6}


def _is_log(costs: list[float]) -> bool:
    return bool(costs) and min(costs) > 0 and max(costs) > 4 * min(costs)


def _marker(point: Point, style: dict[str, str], page_style: PageStyle) -> go.Scatter:
    label, value, cost = point["label"], point["quality"], point["cost"]
    hover = f"{label}<br>%{{x:,.4g}}, %{{y:.4g}}<extra></extra>"
    trace = page_style.line_of(label, style, x=[cost], y=[value], hovertemplate=hover)
    for bar, middle, name in (("error_y", value, "quality"), ("error_x", cost, "cost")):
        low, high = (point.get(f"{name}_{end}") for end in ("low", "high"))
        if low is not None and high is not None:
            ends = error_bar([middle], [low], [high], 0.7 * page_style.line)
            trace.update({bar: ends | {"width": 0.6 * page_style.marker}})
    return trace.update(mode="markers", marker_size=1.5 * page_style.marker)
