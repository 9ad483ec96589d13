"""Plot of energy errors of initial states against bond dimension, and gradient trends.

Shows the error before and after training, and the fall of squared gradients with the number of
qubits. Takes numbers, such as those of `qtha_lab.reproductions.machinery.points.energies_of`. Runs
no circuit.
"""

import functools
from collections.abc import Sequence
from statistics import fmean
from typing import TypedDict

import plotly.graph_objects as go

from qtha_lab.figures.machinery import labels, theme, ticks
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
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
    draw = functools.partial(_draw, rows, bonds)
    return Figure(
        "start_energy",
        draw,
        caption,
        alt,
        Table.of([dict(s) for s in rows]),
        theme,
        "What a prepared start is worth",
    )


def _draw(rows: list[InitialisedRun], bonds: list[int], page_style: PageStyle) -> go.Figure:
    figure = go.Figure()
    others = list(dict.fromkeys(s["label"] for s in rows if s["bond"] is None))
    names = list(dict.fromkeys(s["label"] for s in rows))
    _add_errors(figure, rows, bonds, others, page_style)
    _add_falls(figure, rows, names, page_style)
    _place_panels(figure, rows, bonds, names, page_style)
    return page_style.with_legend(figure, [BEFORE, AFTER, *others])


def _add_errors(
    figure: go.Figure,
    rows: list[InitialisedRun],
    bonds: list[int],
    others: list[str],
    page_style: PageStyle,
) -> None:
    """Draw the energy error before and after training against the bond dimension."""
    styles = theme.distinct_styles([BEFORE, AFTER, *others])
    for label, name in ((BEFORE, "start_error"), (AFTER, "energy_error")):
        of = [s for s in rows if s["bond"] is not None]
        up = [fmean(s[name] for s in of if s["bond"] == bond) for bond in bonds]
        figure.add_trace(page_style.line_of(label, styles[label], x=bonds, y=up))
        figure.add_scatter(
            x=[s["bond"] for s in of],
            y=[s[name] for s in of],
            mode="markers",
            showlegend=False,
            hoverinfo="skip",
            marker={"color": styles[label]["color"], "size": 4, "opacity": 0.5},
        )
    for label in others:
        mean = fmean(s["energy_error"] for s in rows if s["label"] == label)
        line = page_style.line_of(label, styles[label], x=bonds, y=[mean] * len(bonds))
        figure.add_trace(line.update(mode="lines"))


def _add_falls(
    figure: go.Figure, rows: list[InitialisedRun], names: list[str], page_style: PageStyle
) -> None:
    """Draw the fall of squared gradients of each initial state."""
    falls = [fmean(s["gradient_decay"] for s in rows if s["label"] == name) for name in names]
    place = {"xaxis": "x2", "yaxis": "y2", "showlegend": False}
    figure.add_scatter(
        x=[s["gradient_decay"] for s in rows],
        y=[s["label"] for s in rows],
        mode="markers",
        hoverinfo="skip",
        **place,
        marker={"color": theme.GREY, "size": 4, "opacity": 0.6},
    )
    figure.add_scatter(
        x=falls,
        y=names,
        mode="markers",
        marker={"color": theme.BLUE, "size": page_style.marker},
        **place,
        hovertemplate="%{y}: %{x:.3g}-fold<extra></extra>",
    )


def _place_panels(
    figure: go.Figure,
    rows: list[InitialisedRun],
    bonds: list[int],
    names: list[str],
    page_style: PageStyle,
) -> None:
    """Place both panels side by side, or one above the other on a narrow page."""
    errors = [s[name] for s in rows for name in ("start_error", "energy_error") if s["bond"]]
    left, right = ([0, 1], [0, 1]) if page_style.narrow else ([0, 0.52], [0.66, 1])
    top, below = ([0.6, 1], [0, 0.34]) if page_style.narrow else ([0, 1], [0, 1])
    log = {"type": "log", "tickvals": bonds} if bonds else {}
    dotted = {"dash": "dot", "width": 0.7 * page_style.line, "color": page_style.inks.text}
    figure.update_layout(
        height=(1.25 if page_style.narrow else 0.5) * page_style.width,
        xaxis={"title": {"text": labels.axis("bond_dim")}, "domain": left, "anchor": "y", **log},
        yaxis={"title": {"text": "relative error"}, "domain": top, "anchor": "x",
               **ticks.log_axis(errors)},
        xaxis2={"title": {"text": "fall of squared gradients"}, "domain": right, "anchor": "y2",
                "rangemode": "tozero"},
        yaxis2={"domain": below, "anchor": "x2", "type": "category", "categoryarray": names[::-1]},
        shapes=[{"type": "line", "xref": "x2", "yref": "y2 domain", "x0": 1, "x1": 1, "y0": 0,
                 "y1": 1, "line": dotted}],
    )  # fmt: skip
