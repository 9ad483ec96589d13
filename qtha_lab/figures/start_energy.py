"""Plot of energy errors of initial states against bond dimension, and gradient trends.

Shows the error before and after training, and the fall of squared gradients with the number of
qubits. Takes numbers, such as those of `qtha_lab.reproductions.machinery.listing.energies_of`. Runs
no circuit.
"""

import functools
from collections.abc import Sequence
from statistics import fmean
from typing import TypedDict

import pandas as pd
import plotly.graph_objects as go

from qtha_lab.figures.machinery import labels, theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import draw_by_size, rule
from qtha_lab.figures.machinery.table import Table, value_text

BEFORE, AFTER = "before training", "after training"


class InitialisedRun(TypedDict):
    """Initial state with one seed; `bond` is None without a tensor network.

    `start_error` is the error of the prepared state and `energy_error` that of the trained one,
    both relative. `gradient_decay` is the ratio of the mean squared gradient at few qubits to that
    at many.
    """

    label: str
    bond: int | None
    seed: int
    start_error: float
    energy_error: float
    gradient_decay: float


def _example() -> dict:
    rows = [
        ("uniform", None, 1.06, 0.019, 1.4),
        ("small", None, 1.02, 0.015, 1.3),
        ("bond 1", 1, 0.047, 0.018, 1.26),
        ("bond 2", 2, 5e-4, 2e-4, 1.01),
        ("bond 4", 4, 2e-7, 1e-7, 0.98),
    ]
    return {
        "starts": [
            {
                "label": label,
                "bond": bond,
                "seed": seed,
                "start_error": before,
                "energy_error": after * lift,
                "gradient_decay": fall * lift,
            }
            for label, bond, before, after, fall in rows
            for seed, lift in enumerate((0.8, 1.0, 1.2))
        ]
    }


@figure_function(example=_example)
def start_energy(starts: Sequence[InitialisedRun], theme: str = "light") -> Figure:
    """Plot the energy error against the initial bond dimension, and the gradient trend.

    Args:
        starts: One entry per initial state and seed.
        theme: "light", "dark" or "page".

    Example:
        >>> errors = {"start_error": 5e-4, "energy_error": 2e-4, "gradient_decay": 1.0}
        >>> start_energy([{"label": "bond 2", "bond": 2, "seed": 0, **errors}]).alt
        'Relative error of the energy at the largest bond, 2: 0.0005 before training, 0.0002 after;
        squared gradients fall 1-fold there.'
    """
    rows = list(starts)
    bonds = sorted({s["bond"] for s in rows if s["bond"] is not None})
    alt = "No initial state was prepared by a tensor network."
    if bonds:
        last = [s for s in rows if s["bond"] == bonds[-1]]
        before, after, fall = (
            fmean(s[name] for s in last)
            for name in ("start_error", "energy_error", "gradient_decay")
        )
        alt = (
            f"Relative error of the energy at the largest bond, {bonds[-1]}: {value_text(before)}"
            f" before training, {value_text(after)} after; squared gradients fall"
            f" {value_text(fall)}-fold there."
        )
    caption = (
        "Left: relative error of the energy against the bond dimension of the initial state,"
        " means over seeds and a dot per seed; lines across have no tensor network, after training."
        " Right: ratio of the mean squared gradient of a new layer at few qubits to that at many;"
        " at the dotted line it does not vanish. Does not show the size of the gradients."
    )
    table = Table.of([dict(start) for start in rows], list(InitialisedRun.__annotations__))
    draw = functools.partial(_draw, table.frame)
    title = "What a prepared start is worth"
    return Figure("start_energy", draw, caption, alt, table, theme, title)


def _draw(runs: pd.DataFrame, page_style: PageStyle) -> go.Figure:
    prepared = runs[runs["bond"].notna()]
    others = runs[runs["bond"].isna()].assign(error=runs["energy_error"])
    errors = [
        prepared.assign(label=label, error=prepared[name])
        for label, name in ((BEFORE, "start_error"), (AFTER, "energy_error"))
    ]
    left, right = ([0, 1], [0, 1]) if page_style.narrow else ([0, 0.52], [0.66, 1])
    top, below = ([0.6, 1], [0, 0.34]) if page_style.narrow else ([0, 1], [0, 1])
    height = (1.25 if page_style.narrow else 0.5) * page_style.width
    frame = pd.concat([*errors, others]).rename(columns={"bond": "bond_dim"})
    figure = draw_by_size(frame, "bond_dim", "error", page_style, layout={"height": height})
    _add_falls(figure, runs, page_style)
    scale = labels.log_axis(pd.concat(errors)["error"])
    names = list(dict.fromkeys(runs["label"]))
    figure.update_xaxes(domain=left, anchor="y", type="log" if len(prepared) else None)
    figure.update_yaxes(title_text="relative error", domain=top, anchor="x", **scale)
    return figure.update_layout(
        xaxis2={"title": {"text": "fall of squared gradients"}, "domain": right, "anchor": "y2",
                "rangemode": "tozero"},
        yaxis2={"domain": below, "anchor": "x2", "type": "category", "categoryarray": names[::-1]},
        shapes=[{"type": "line", "xref": "x2", "yref": "y2 domain", "x0": 1, "x1": 1, "y0": 0,
                 "y1": 1, "line": rule(page_style)}],
    )  # fmt: skip


def _add_falls(figure: go.Figure, runs: pd.DataFrame, page_style: PageStyle) -> None:
    """Draw the fall of squared gradients of each initial state, and its mean."""
    means = runs.groupby("label", sort=False)["gradient_decay"].mean()
    place = {"mode": "markers", "xaxis": "x2", "yaxis": "y2", "showlegend": False}
    grey = {"color": theme.GREY, "size": 4, "opacity": 0.6}
    figure.add_scatter(
        x=runs["gradient_decay"], y=runs["label"], hoverinfo="skip", marker=grey, **place
    )
    blue = {"color": theme.BLUE, "size": page_style.marker}
    hover = "%{y}: %{x:.3g}-fold<extra></extra>"
    figure.add_scatter(x=means, y=means.index, marker=blue, hovertemplate=hover, **place)
