"""Map of the method that leads at each task and number of steps.

Takes decided cells, such as those of `qtha_lab.studies.regime_map`. Makes no decision.
"""

import functools
from collections.abc import Sequence
from typing import TypedDict

import plotly.graph_objects as go

from qtha_lab.core.method_styles import shown
from qtha_lab.figures.machinery import labels, theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.table import Table

UNDECIDED = "no method is decided"


class Regime(TypedDict):
    """Leading method at one task and number of steps.

    `leader` is "" if none is decided. `against` is the method of the interval, and the difference
    is that of the best other method to the reference.
    """

    place: str
    steps: int
    leader: str
    against: str
    mean: float
    low: float
    high: float


def _example() -> dict:
    cells = {
        ("qa", 100): ("", "qtha_shared", 0.004, -0.010, 0.018),
        ("qa", 1000): ("lora(r=8)", "qtha_shared", 0.05, 0.02, 0.08),
        ("recall", 100): ("qtha_shared", "lora(r=8)", -0.06, -0.09, -0.03),
        ("recall", 1000): ("lora(r=8)", "qtha_shared", 0.12, 0.05, 0.19),
    }
    names = ("leader", "against", "mean", "low", "high")
    return {
        "regimes_found": [
            {"place": place, "steps": steps, **dict(zip(names, cell, strict=True))}
            for (place, steps), cell in cells.items()
        ]
    }


@figure_function(example=_example)
def regimes(
    regimes_found: Sequence[Regime], measure: str = "test_loss", theme: str = "light"
) -> Figure:
    """Draw the leading method of each task and number of steps.

    Args:
        regimes_found: One per task and number of steps.
        measure: Name of the compared quantity in `labels`.
        theme: "light", "dark" or "page".

    Example:
        >>> cell = {"place": "qa", "steps": 100, "leader": "lora", "against": "qtha"}
        >>> regimes([cell | {"mean": 0.05, "low": 0.02, "high": 0.08}]).alt
        'Leading method in test loss: qa at 100 steps lora (against qtha +0.050 [+0.020, +0.080]).'
    """
    cells = list(regimes_found)
    words = labels.label_of(measure).words
    alt = f"Leading method in {words}: {'; '.join(map(_finding, cells)) or '0 cells'}."
    caption = (
        f"The method with the lower {words} for each task and number of steps, each at its best"
        " rate. A filled square has an interval that excludes zero; a hollow one has none that"
        " decides. It does not show how far apart the methods are."
    )
    columns = ("place", "steps", "leader", "against", f"difference_of_{measure}", "low", "high")
    rows = [
        (c["place"], c["steps"], c["leader"], c["against"], c["mean"], c["low"], c["high"])
        for c in cells
    ]
    draw = functools.partial(_draw, cells)
    title = "Leading method by task and steps"
    return Figure("regimes", draw, caption, alt, Table(columns, rows), theme, title)


def _finding(cell: Regime) -> str:
    leader = shown(cell["leader"]) if cell["leader"] else UNDECIDED
    interval = f"{cell['mean']:+.3f} [{cell['low']:+.3f}, {cell['high']:+.3f}]"
    return (
        f"{cell['place']} at {cell['steps']:,} steps {leader}"
        f" (against {shown(cell['against'])} {interval})"
    )


def _draw(cells: list[Regime], page_style: PageStyle) -> go.Figure:
    places = list(dict.fromkeys(cell["place"] for cell in cells))
    steps = sorted({cell["steps"] for cell in cells})
    leaders = list(dict.fromkeys(cell["leader"] for cell in cells))
    styles = theme.distinct_styles(filter(None, leaders))
    figure = go.Figure()
    for leader in leaders:
        mine = [cell for cell in cells if cell["leader"] == leader]
        style = styles.get(leader, {"color": page_style.inks.text, "dash": "solid"})
        trace = page_style.line_of(
            leader or UNDECIDED,
            {**style, "symbol": "square" if leader else "square-open"},
            x=[places.index(cell["place"]) for cell in mine],
            y=[steps.index(cell["steps"]) for cell in mine],
            customdata=[_finding(cell) for cell in mine],
            hovertemplate="%{customdata}<extra></extra>",
        )
        figure.add_trace(trace.update(mode="markers", marker_size=3 * page_style.marker))
    for axis, ticks, names in (
        ("x", range(len(places)), places),
        ("y", range(len(steps)), [f"{count:,}" for count in steps]),
    ):
        axes = figure.update_xaxes if axis == "x" else figure.update_yaxes
        title = "task" if axis == "x" else labels.axis("step") + "s"
        axes(
            title_text=title,
            tickvals=list(ticks),
            ticktext=names,
            range=[-0.6, len(names) - 0.4],
            showgrid=False,
        )
    return page_style.with_legend(figure, [leader or UNDECIDED for leader in leaders])
