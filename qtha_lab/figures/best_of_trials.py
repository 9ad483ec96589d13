"""Plot of the best result expected of k tuning trials, for each method.

Takes the statistics of `qtha_lab.studies.comparison.trial_statistics`. Computes none.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go

from qtha_lab.figures.machinery import labels, theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import MOST_BANDS, panels
from qtha_lab.figures.machinery.table import Table, value_text


class Budget(NamedTuple):
    """Expected best result of 1, 2, … trials, and the best so far.

    `low` and `high` bound four of five draws of the trials. `so_far` is the best so far in the
    order of the trials.
    """

    expected: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    so_far: Sequence[float]


def _example() -> dict:
    return {
        "budgets": {
            "lora(r=2)": Budget(
                (4.392, 4.253, 4.199, 4.175, 4.163),
                (4.15, 4.15, 4.15, 4.15, 4.15),
                (4.71, 4.52, 4.31, 4.22, 4.22),
                (4.52, 4.31, 4.15, 4.15, 4.15),
            ),
            "qtha(r=4)": Budget(
                (4.498, 4.349, 4.278, 4.243, 4.225),
                (4.2, 4.2, 4.2, 4.2, 4.2),
                (4.9, 4.6, 4.41, 4.38, 4.38),
                (4.6, 4.38, 4.2, 4.2, 4.2),
            ),
        }
    }


CAPTION = (
    "expected after so many trials of each method, were they drawn at random from those that were"
    " run (a line){band}; the thin steps are the best so far in the order in which they were run."
    " Says nothing of settings that were not tried, and less of a search that learns from its"
    " trials."
)


@figure_function(example=_example)
def best_of_trials(
    budgets: Mapping[str, Budget],
    measure: str = "eval_loss",
    bands: bool | None = None,
    theme: str = "light",
) -> Figure:
    """Plot the best of k trials against k, for each method.

    Args:
        budgets: Statistics by method label.
        measure: Name of the measured quantity in `labels`.
        bands: Draw bands; None draws them for up to three methods, since more hide each other.
        theme: "light", "dark" or "page".

    Example:
        >>> budget = Budget([4.5, 4.25], [4.0, 4.0], [5.0, 5.0], [5.0, 4.0])
        >>> print(best_of_trials({"lora": budget}).alt)
        Best evaluation loss of 1 to 2 trials: lora 4.500 expected of one, 4.250 of 2, 4.000 found.

    Source:
        Dodge et al. 2019, arXiv:1909.03004, section 3 (expected validation performance of a
        budget).
    """
    bands = len(budgets) <= MOST_BANDS if bands is None else bands
    words = labels.label_of(measure).words
    most = max((len(budget.expected) for budget in budgets.values()), default=0)
    findings = "; ".join(
        f"{label} {value_text(b.expected[0], measure)} expected of one,"
        f" {value_text(b.expected[-1], measure)} of {len(b.expected)},"
        f" {value_text(b.so_far[-1], measure)} found"
        for label, b in budgets.items()
    )
    alt = f"Best {words} of 1 to {most} trials: {findings or 'none yet'}."
    rows = [
        (label, k, *values)
        for label, b in budgets.items()
        for k, values in enumerate(zip(*b, strict=True), start=1)
    ]
    table = Table(("method", "trials", f"expected_{measure}", "low", "high", "so_far"), rows)
    draw = functools.partial(_draw, table.frame, measure, bands)
    title = f"Best {words} against trials"
    band = ", with a band in which four of five such draws lie" if bands else ""
    caption = f"The best {words} {CAPTION.format(band=band)}"
    return Figure(f"best_{measure}_of_trials", draw, caption, alt, table, theme, title)


def _draw(frame: pd.DataFrame, measure: str, bands: bool, page_style: PageStyle) -> go.Figure:
    most = int(frame["trials"].max()) if len(frame) else 1
    trials = {"rangemode": "tozero", "tick0": 0, "dtick": -(-most // 8)}  # half a trial is no tick
    figure = panels(
        frame,
        "trials",
        f"expected_{measure}",
        "method",
        page_style,
        hover="%{x} trials: %{y:.5g} expected",
        ends=("low", "high") if bands else (),
        xaxis=trials,
        yaxis={"title_text": f"best {labels.axis(measure)}"},
    )
    styles = theme.distinct_styles(frame["method"])
    for label, of in frame.groupby("method", sort=False):
        line = {"shape": "hv", "color": styles[str(label)]["color"], "width": 0.6 * page_style.line}
        hover = f"{label}, best so far<br>%{{x}} trials: %{{y:.5g}}<extra></extra>"
        figure.add_scatter(
            x=of["trials"],
            y=of["so_far"],
            mode="lines",
            line=line,
            legendgroup=label,
            showlegend=False,
            hovertemplate=hover,
        )
    return figure
