"""Plot of the share of variance that each setting explains, with its interval.

Takes the shares of `qtha_lab.studies.comparison.trial_statistics`.
"""

import functools
from collections.abc import Mapping
from typing import NamedTuple

import plotly.graph_objects as go

from qtha_lab.figures.machinery import labels, theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import error_bar
from qtha_lab.figures.machinery.table import Table


class Share(NamedTuple):
    """Share of the variance that a setting explains, 0 to 1, and its interval."""

    share: float
    low: float
    high: float


def _example() -> dict:
    return {
        "shares": {
            "lora": {"learning_rate": Share(0.81, 0.66, 0.92), "r": Share(0.14, 0.04, 0.27)},
            "qtha": {
                "learning_rate": Share(0.72, 0.5, 0.88),
                "bond_dim": Share(0.16, 0.05, 0.33),
                "n_layers": Share(0.06, 0.01, 0.2),
            },
        },
        "trials": {"lora": 24, "qtha": 24},
    }


@figure_function(example=_example)
def setting_importance(
    shares: Mapping[str, Mapping[str, Share]],
    trials: Mapping[str, int],
    measure: str = "eval_loss",
    theme: str = "light",
) -> Figure:
    """Plot the share of each setting with its interval, one row per setting.

    Args:
        shares: Shares by method, then by setting.
        trials: Number of analysed trials by method.
        measure: Quantity whose variance is explained.
        theme: "light", "dark" or "page".

    Example:
        >>> shares = {"lora": {"r": Share(0.2, 0.1, 0.3), "learning_rate": Share(0.7, 0.5, 0.9)}}
        >>> print(setting_importance(shares, {"lora": 24}).alt)
        What explains evaluation loss most: for lora learning_rate, 70 % [50–90 %] of 24 trials.
    """
    words = labels.label_of(measure).words
    findings = "; ".join(
        f"for {label} {name}, {100 * share.share:.0f} %"
        f" [{100 * share.low:.0f}–{100 * share.high:.0f} %] of {trials[label]} trials"
        for label, of in shares.items()
        for name, share in [max(of.items(), key=lambda item: item[1].share)]
    )
    alt = f"What explains {words} most: {findings}."
    caption = (
        f"Share of the variance of {words} that each setting explains by itself, over the range"
        " that was tried (fANOVA on a random forest). Bars are 90 % intervals over draws of the"
        " trials; where they overlap, the order is open. A setting that was hardly varied looks"
        " unimportant, whatever it could do."
    )
    records = [
        {"method": label, "setting": name, "share": s.share, "low": s.low, "high": s.high}
        for label, of in shares.items()
        for name, s in of.items()
    ]
    draw = functools.partial(_draw, {label: dict(of) for label, of in shares.items()})
    title = f"What explains {words}"
    return Figure(f"importance_{measure}", draw, caption, alt, Table.of(records), theme, title)


def _draw(shares: dict[str, dict[str, Share]], page_style: PageStyle) -> go.Figure:
    """Draw settings as rows, the most important at the top, with methods slightly apart."""
    most: dict[str, float] = {}
    for of in shares.values():
        for name, share in of.items():
            most[name] = max(most.get(name, 0.0), share.share)
    rows = {name: place for place, name in enumerate(sorted(most, key=lambda n: most[n]))}
    styles, apart = theme.distinct_styles(shares), 0.5 / max(1, len(shares))
    figure = go.Figure()
    for number, (label, of) in enumerate(shares.items()):
        shared, low, high = zip(*of.values(), strict=True)
        lift = apart * ((len(shares) - 1) / 2 - number)
        hover = f"{label}, %{{customdata}}<br>%{{x:.0%}} of the variance<extra></extra>"
        trace = page_style.line_of(
            label,
            styles[label],
            x=shared,
            y=[rows[name] + lift for name in of],
            hovertemplate=hover,
            mode="markers",
        )
        bar = error_bar(shared, low, high, page_style.line) | {"width": 0}
        trace.update(error_x=bar, marker_size=1.6 * page_style.marker, customdata=list(of))
        figure.add_trace(trace)
    figure.update_xaxes(
        title_text="share of the variance explained", range=[-0.02, 1.02], tickformat=".0%"
    )
    names = [page_style.wrap(name.replace("_", " "), 0.3 * page_style.width) for name in rows]
    figure.update_yaxes(
        tickvals=list(rows.values()),
        ticktext=names,
        range=[-0.6, len(rows) - 0.4],
        ticks="",
        title_text="",
    )
    figure.update_layout(height=(2.2 * len(rows) * max(1, 0.6 * len(shares)) + 7) * page_style.font)
    return page_style.with_legend(figure, list(shares))
