"""Plot of the final result against the learning rate, one line per method.

Bands cover the seeds, and the best rate is marked. Takes final results as numbers; the best rate is
the best measured one, not a fit.
"""

import functools
from collections.abc import Sequence
from typing import TypedDict

import pandas as pd
import plotly.graph_objects as go

from qtha_lab.core.method_styles import shown
from qtha_lab.core.metrics import MEASURES
from qtha_lab.figures.machinery import labels, theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import MOST_BANDS, panels, rule
from qtha_lab.figures.machinery.table import Table, value_text

FAR = 4  # values more than this many times as far from the best as the median leave the frame


HOVER = "<br>%{x:g}: %{y:.5g}<extra></extra>"


class End(TypedDict):
    """Final result of a run at a learning rate; None for a diverged run."""

    label: str
    seed: int
    learning_rate: float
    value: float | None


def _example() -> dict:
    rates = (0.001, 0.003, 0.01, 0.03, 0.1)
    losses = {
        "lora(r=2)": (4.52, 4.31, 4.15, 4.22, 4.71),
        "qtha(r=4)": (4.60, 4.38, 4.20, 4.41, None),
    }
    ends = [
        (label, seed, rate, None if loss is None else loss + lift)
        for label, by_rate in losses.items()
        for rate, loss in zip(rates, by_rate, strict=True)
        for seed, lift in enumerate((0.0, 0.05, -0.03))
    ]
    return {"ends": [dict(zip(End.__annotations__, end, strict=True)) for end in ends]}


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
    points = at_rates(ends)
    sign = 1 if _lower_is_better(measure) else -1
    whole = points[points["diverged"] == 0]
    best = whole.loc[(sign * whole["value"]).groupby(whole["method"], observed=True).idxmin()]
    is_tried = best["method"].map(points["method"].value_counts()).astype(int) > 1
    shared = shared_best(points, sign) if points["method"].duplicated().any() else None
    words = labels.words_of(measure)
    ends_are = "a band" if points["method"].nunique() <= MOST_BANDS else "bars"
    caption = (
        f"{words} at the end of training against the learning rate: a line per method, through the"
        f" means over its seeds, and {ends_are} from the smallest to the largest. The large symbol"
        " is the best of several rates of a method, the dotted upright line the best rate for all"
        " together; a cross at the edge is a rate at which a run diverged, and a line to what is"
        " far worse than the rest leaves the frame. A best at the edge of what was tried may lie"
        " beyond it."
    )
    alt = _alt(points, best[is_tried], best[~is_tried], shared, measure)
    named = points.rename(columns={"value": measure}).astype({"method": str})
    table = Table(named.columns, named.astype(object).where(named.notna(), None).to_numpy())
    draw = functools.partial(_draw, named, best[is_tried], shared, measure)
    title = f"{words} against learning rate"
    return Figure(f"{measure}_by_rate", draw, caption, alt, table, theme, title)


def at_rates(ends: Sequence[End]) -> pd.DataFrame:
    """Return means and ranges over seeds by method and rising rate.

    A diverged seed leaves no mean, and a repeated run adds no seed.
    """
    runs = pd.DataFrame(list(ends), columns=list(End.__annotations__)).astype({"value": float})
    runs["method"] = pd.Categorical(runs["label"], categories=list(dict.fromkeys(runs["label"])))
    groups = runs.groupby(["method", "learning_rate"], observed=True)
    points = groups["value"].agg(value="mean", smallest="min", largest="max").reset_index()
    points["seeds"] = groups["seed"].nunique().to_numpy()
    points["diverged"] = (groups.size() - groups["value"].count()).to_numpy()
    points.loc[points["diverged"] > 0, ["value", "smallest", "largest"]] = float("nan")
    return points


def _alt(
    points: pd.DataFrame,
    tried: pd.DataFrame,
    alone: pd.DataFrame,
    shared: float | None,
    measure: str,
) -> str:
    """State the best learning rates, diverged runs and best rates at a range end."""
    words = labels.words_of(measure)
    lost = points[points["diverged"] > 0]
    crosses = [f"{shown(row.method)} at {row.learning_rate:g}" for row in lost.itertuples()]
    rates = points.groupby("method", observed=True)["learning_rate"]
    ends = {method: (of.min(), of.max()) for method, of in rates}
    at_edge = [shown(r.method) for r in tried.itertuples() if r.learning_rate in ends[r.method]]
    parts = [
        f"{words} is best at these learning rates: {_findings(tried, measure)}.",
        f"Run at one learning rate alone: {_findings(alone, measure)}.",
        f"{words} by learning rate: 0 runs ended.",
        f"The best for all together is {shared or 0:g}.",
        f"Diverged, a cross at the edge: {', '.join(crosses)}.",
        f"At the edge of what was tried: {', '.join(at_edge)}.",
    ]
    none = not len(tried) and not len(alone)
    applies = (len(tried), len(alone), none, shared is not None, crosses, at_edge)
    return " ".join(part for part, does in zip(parts, applies, strict=True) if does)


def _findings(best: pd.DataFrame, measure: str) -> str:
    return "; ".join(
        f"{shown(p.method)} {value_text(p.value, measure)} at {p.learning_rate:g} ({p.seeds}"
        f" seed{'s' if p.seeds > 1 else ''})"
        for p in best.itertuples()
    )


def shared_best(points: pd.DataFrame, sign: int = 1) -> float | None:
    """Return the common rate with the best average of means; None without common rates.

    Example:
        >>> ends = [("a", 0, 0.1, 3.0), ("a", 0, 1.0, 2.0), ("b", 0, 0.1, 3.0)]
        >>> names = ("label", "seed", "learning_rate", "value")
        >>> shared_best(at_rates([dict(zip(names, end)) for end in ends]))
        0.1
    """
    means = points.pivot(index="learning_rate", columns="method", values="value").dropna()
    return None if means.empty else float((sign * means.mean(axis=1)).idxmin())


def _lower_is_better(measure: str) -> bool:
    return measure not in MEASURES or MEASURES[measure].better == "lower"


def _draw(
    points: pd.DataFrame,
    best: pd.DataFrame,
    shared: float | None,
    measure: str,
    page_style: PageStyle,
) -> go.Figure:
    is_whole = points["diverged"] == 0
    whole, lost = points[is_whole], points[~is_whole]
    frame = frame_of([*whole["smallest"], *whole["largest"]], _lower_is_better(measure))
    unnamed = ~lost["method"].isin(whole["method"]) & ~lost["method"].duplicated()
    styles = theme.distinct_styles(points["method"])
    figure = panels(
        pd.concat([whole, lost[unnamed]]).sort_index(), "learning_rate", measure, "method",
        page_style, hover="%{x:g}: %{y:.5g} over %{customdata} seeds", data="seeds",
        ends=("smallest", "largest"), bands=len(styles) <= MOST_BANDS, styles=styles,
        xaxis=labels.axis_of_rates(points["learning_rate"]), yaxis={"range": frame},
    )  # fmt: skip
    for row in best.itertuples():
        figure.add_trace(page_style.line_of(
            row.method, styles[row.method], x=[row.learning_rate], y=[row.value], mode="markers",
            marker_size=2.2 * page_style.marker, showlegend=False,
            hovertemplate=f"{row.method}: best of those tried{HOVER}",
        ))  # fmt: skip
    if len(whole):
        low, high = whole["smallest"].min(), whole["largest"].max()
        edge = frame[1] if frame else high + 0.06 * (high - low or 1.0)
        figure.add_traces(_crosses(lost, edge, styles, page_style))
    if shared is not None:
        figure.add_vline(x=shared, line=rule(page_style), layer="below")
    return figure


def _crosses(
    lost: pd.DataFrame, edge: float, styles: dict, page_style: PageStyle
) -> list[go.Scatter]:
    """Mark each rate with a diverged run by a cross at the worse edge."""
    cross = {"symbol": "x", "size": 1.6 * page_style.marker}
    return [
        page_style.line_of(
            label, styles[label], x=of["learning_rate"], y=[edge] * len(of), mode="markers",
            marker=cross, showlegend=False, customdata=of["diverged"], cliponaxis=False,
            hovertemplate=f"{label}<br>%{{x:g}}: %{{customdata}} diverged<extra></extra>",
        )
        for label, of in lost.groupby("method", sort=False)
    ]  # fmt: skip


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
