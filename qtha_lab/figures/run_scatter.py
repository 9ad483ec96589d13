"""Plot of any two numbers of runs against each other, with the Pareto front.

A run is `{"id", "label", "values"}`. Reads no run. `pareto` draws means of methods over seeds.
"""

import functools
from collections.abc import Collection, Sequence
from typing import Any, TypedDict

import plotly.graph_objects as go

from qtha_lab.core.metrics import MEASURES
from qtha_lab.figures.machinery import labels, theme, ticks
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.table import Table, value_text

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
    words, along = labels.label_of(y).words, labels.label_of(x).words
    title = f"{words[:1].upper()}{words[1:]} against {along}"
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
    draw = functools.partial(
        _draw, complete, best, x=x, y=y, logs=(log_x, log_y), brushed=frozenset(brushed)
    )
    return Figure(f"{y}_against_{x}", draw, caption, alt, Table.of(records), theme, title)


def unbeaten(runs: Sequence[RunPoint], x: str, y: str) -> list[RunPoint]:
    """Return the runs that no other run dominates in both measurements, by rising x.

    Args:
        runs: Runs with both values.
        x: Measurement; a setting has no better direction and returns no runs.
        y: Measurement.
    """
    if x == y or not {x, y} <= MEASURES.keys():
        return []
    signs = [1 if MEASURES[name].better == "lower" else -1 for name in (x, y)]

    def costs(run: RunPoint) -> tuple[float, float]:
        return signs[0] * run["values"][x], signs[1] * run["values"][y]

    front: list[RunPoint] = []
    for run in sorted(runs, key=costs):
        if not front or costs(run)[1] < costs(front[-1])[1] or costs(run) == costs(front[-1]):
            front.append(run)
    return sorted(front, key=lambda run: run["values"][x])


def _draw(
    runs: list[RunPoint],
    best: list[RunPoint],
    page_style: PageStyle,
    *,
    x: str,
    y: str,
    logs: tuple[bool, bool],
    brushed: frozenset[str],
) -> go.Figure:
    figure = go.Figure()
    along, up = ([run["values"][name] for run in best] for name in (x, y))
    line = {"dash": "dot", "width": 0.7 * page_style.line, "color": page_style.inks.text}
    figure.add_scatter(x=along, y=up, mode="lines", line=line, showlegend=False, hoverinfo="skip")
    by_label: dict[str, list[RunPoint]] = {}
    for run in runs:
        by_label.setdefault(run["label"], []).append(run)
    styles = theme.distinct_styles(by_label)
    for label, members in by_label.items():
        figure.add_trace(_symbols(label, members, (x, y), styles[label], page_style, brushed))
    for name, log, update in zip(
        (x, y), logs, (figure.update_xaxes, figure.update_yaxes), strict=True
    ):
        update(title_text=labels.axis(name), **_axis([run["values"][name] for run in runs], log))
    return page_style.with_legend(figure, list(by_label))


def _axis(values: list[Any], log: bool) -> dict:
    if any(isinstance(value, str) for value in values):
        return {"type": "category"}
    if log:
        text = ticks.thousands if values and min(values) >= 1 else ticks.power_of_ten
        return ticks.log_axis(values, text)
    return {"nticks": 6}


def _symbols(
    label: str,
    members: list[RunPoint],
    names: tuple[str, str],
    style: dict,
    page_style: PageStyle,
    brushed: frozenset[str],
) -> go.Scatter:
    along, up = ([run["values"][name] for run in members] for name in names)
    hover = f"{label} · %{{customdata}}<br>%{{x:,.4g}}, %{{y:.5g}}<extra></extra>"
    if any(isinstance(value, str) for value in along):
        hover = hover.replace(":,.4g", "")
    trace = page_style.line_of(label, style, x=along, y=up, hovertemplate=hover, mode="markers")
    trace.update(marker_size=1.3 * page_style.marker, customdata=[run["id"] for run in members])
    if brushed:
        trace.update(marker_opacity=[1.0 if run["id"] in brushed else PALE for run in members])
    return trace
