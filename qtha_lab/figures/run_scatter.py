"""Plot of any two numbers of runs against each other, with the Pareto front.

A run is `{"id", "label", "values"}`. Reads no run. `pareto` draws means of methods over seeds.
"""

import functools
from collections.abc import Collection, Sequence
from typing import Any, TypedDict

import pandas as pd
import plotly.graph_objects as go

from qtha_lab.core.metrics import MEASURES
from qtha_lab.figures.machinery import labels
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import log_axis, panels, with_front
from qtha_lab.figures.machinery.parts import traces_of
from qtha_lab.figures.machinery.table import Table, value_text
from qtha_lab.figures.pareto import Point, front

PALE = 0.15


class RunPoint(TypedDict):
    """One run with its label, settings and measurements by name."""

    id: str
    label: str
    values: dict[str, Any]


def _example() -> dict:
    rows = [
        ("lora(r=8)", 30720, (4.122, 4.084, 4.146)),
        ("lora(r=2)", 7680, (4.152, 4.124, 4.179)),
        ("qtha(r=4)", 6900, (4.236, 4.197, 4.264)),
        ("ia3", 1152, (4.301, 4.280, 4.322)),
    ]
    return {
        "runs": [
            {
                "id": f"{label}-{seed}",
                "label": label,
                "values": {"trainable_parameters": size, "eval_loss": loss},
            }
            for label, size, losses in rows
            for seed, loss in enumerate(losses)
        ]
    }


@figure_function(example=_example)
def run_scatter(
    runs: Sequence[RunPoint],
    x: str = "trainable_parameters",
    y: str = "eval_loss",
    log_x: bool = False,
    log_y: bool = False,
    brushed: Collection[str] = (),
    theme: str = "light",
) -> Figure:
    """Plot one number of each run against another.

    Args:
        runs: Runs to draw; those without one of the two numbers are omitted.
        x: Setting or measurement on the x axis.
        y: Setting or measurement on the y axis.
        log_x: Use a logarithmic x axis.
        log_y: Use a logarithmic y axis.
        brushed: Ids of the selected runs; the others are pale. Empty selects none.
        theme: "light", "dark" or "page".

    Example:
        >>> a = {"id": "1", "label": "a", "values": {"trainable_parameters": 10, "eval_loss": 3.0}}
        >>> b = {"id": "2", "label": "b", "values": {"trainable_parameters": 99, "eval_loss": 3.5}}
        >>> run_scatter([a, b]).alt
        'Evaluation loss against trainable parameters of 2 runs; 1 is not beaten in both:
        a (10, 3.000).'
    """
    complete = [run for run in runs if None not in (run["values"].get(x), run["values"].get(y))]
    best = unbeaten(complete, x, y)
    title = f"{labels.words_of(y)} against {labels.label_of(x).words}"
    alt = f"{title} of {len(complete)} run{'s' if len(complete) != 1 else ''}"
    if best:
        names = "; ".join(
            f"{run['label']} ({value_text(run['values'][x], x)}, {value_text(run['values'][y], y)})"
            for run in best[:6]
        )
        alt += f"; {len(best)} {'is' if len(best) == 1 else 'are'} not beaten in both: {names}"
    alt += "." if len(best) <= 6 else ", …."
    caption = f"{title}, a symbol per run and a colour per method. " + (
        "The dotted line joins the runs that no other beats in both; it is drawn through single"
        " runs, so luck of a seed is on it too."
        if best
        else "No front is drawn, since one of the two is no measure that has a better end."
    )
    records = [
        {"run": run["id"], "method": run["label"], x: run["values"][x], y: run["values"][y]}
        for run in complete
    ]
    points = [{**run["values"], "run": run["id"], "label": run["label"]} for run in complete]
    frame = pd.DataFrame(points, columns=[*dict.fromkeys(("run", "label", x, y))])
    fronts = [[run["values"][name] for run in best] for name in (x, y)]
    draw = functools.partial(_draw, frame, fronts, x, y, (log_x, log_y), frozenset(brushed))
    table = Table.of(records)
    return Figure(f"{y}_against_{x}", draw, caption, alt, table, theme, title)


def unbeaten(runs: Sequence[RunPoint], x: str, y: str) -> list[RunPoint]:
    """Return the runs that no other run dominates in both measurements, by rising x."""
    if x == y or not {x, y} <= MEASURES.keys():
        return []
    sign = 1 if MEASURES[x].better == "lower" else -1
    points: list[Point] = [
        {"label": str(n), "cost": sign * run["values"][x], "quality": run["values"][y]}
        for n, run in enumerate(runs)
    ]
    best = [runs[int(p["label"])] for p in front(points, MEASURES[y].better == "lower")]
    return sorted(best, key=lambda run: run["values"][x])


def _draw(
    frame: pd.DataFrame,
    fronts: list[list[Any]],
    x: str,
    y: str,
    logs: tuple[bool, bool],
    brushed: frozenset[str],
    page_style: PageStyle,
) -> go.Figure:
    digits = "" if frame[x].map(type).eq(str).any() else ":,.4g"
    figure = panels(
        frame, x, y, "label", page_style, data="run", mode="markers",
        hover=f"%{{customdata}}<br>%{{x{digits}}}, %{{y:.5g}}",
        xaxis=_axis(frame[x], logs[0]), yaxis=_axis(frame[y], logs[1]),
    )  # fmt: skip
    figure.update_traces(marker_size=1.3 * page_style.marker)
    for trace in traces_of(figure) if brushed else ():
        trace.marker.opacity = [1.0 if run in brushed else PALE for run in trace.customdata]
    along, up = fronts
    return with_front(figure, along, up, page_style)


def _axis(values: pd.Series, log: bool) -> dict:
    if values.map(type).eq(str).any():
        return {"type": "category"}
    return log_axis(values) if log else {"nticks": 6}
