"""Plot of training and evaluation loss, one colour per method, for all seeds.

A series is `{"label", "seed", "kind": "train" | "eval", "steps", "values"}`. Reads no run.
"""

import functools
import itertools
from collections.abc import Iterable, Sequence
from typing import Any, Literal, Protocol, TypedDict

import numpy as np
import plotly.graph_objects as go

from qtha_lab.core.method_styles import shown
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import (
    MOST_BANDS,
    ends_over_seeds,
    error_bar,
    interval_words,
)
from qtha_lab.figures.machinery.parts import traces_of
from qtha_lab.figures.machinery.table import Table
from qtha_lab.figures.machinery.theme import distinct_styles, faint, method_style, template

APART = (
    0.008  # shift along the steps between methods, as a fraction, so that their bars do not overlap
)
Kind = Literal["train", "eval"]
PANELS: dict[Kind, tuple[str, str, str]] = {
    "train": ("x", "y", "train loss (nats)"),
    "eval": ("x2", "y2", "evaluation loss (nats)"),
}


class RunWithLosses(Protocol):
    """Run with recorded losses, such as `qtha_lab.launch` returns."""

    @property
    def experiment(self) -> Any:
        """Description with the method's label and the seed."""

    def valid_events(self) -> list[dict]:
        """Return the recorded events."""
        ...


class Series(TypedDict):
    """Loss curve of one run."""

    label: str
    seed: int
    kind: Kind
    steps: Sequence[float]
    values: Sequence[float]


def from_events(label: str, seed: int, events: Iterable[dict]) -> list[Series]:
    """Return the loss curves in the current events of one run (`Run.valid_events`).

    Args:
        label: Label of the method in the legend.
        seed: The seed of the run.
        events: Events of the run; kinds other than "train" and "eval" are ignored.

    Returns:
        Two series in nats, train losses and evaluation losses; either may be empty.

    Example:
        >>> from_events("lora", 0, [{"kind": "train", "step": 1, "loss": 5.0}])[0]["values"]
        [5.0]
    """
    measured = [e for e in events if e["kind"] in PANELS and e.get("loss") is not None]
    series: list[Series] = []
    for kind in PANELS:
        points = {e["step"]: e["loss"] for e in measured if e["kind"] == kind}
        steps = sorted(points)
        values = [points[step] for step in steps]
        series.append(
            {"label": label, "seed": seed, "kind": kind, "steps": steps, "values": values}
        )
    return series


def empty_curves(theme: str = "light") -> go.Figure:
    """Return the two panels with their axes and no curve."""
    return go.Figure(layout={"template": template(theme), "height": 360, **_axes()})


def stacked() -> dict:
    """Return the layout changes that stack the two panels."""
    return {**_axes(stacked=True), "height": 560}


def _axes(stacked: bool = False) -> dict:
    layout = {}
    for panel, (x, y, title) in enumerate(PANELS.values()):
        along = {"domain": [[0, 0.44], [0.56, 1]][panel]}
        up = {"domain": [[0.55, 1], [0, 0.45]][panel]} if stacked else {}
        step = {"text": "" if stacked and panel == 0 else "step"}
        number = x[1:]
        layout[f"xaxis{number}"] = {"title": step, "anchor": y, **({} if stacked else along)}
        layout[f"yaxis{number}"] = {"title": {"text": title}, "anchor": x, **up}
    return layout


def _example() -> dict:
    def runs(label: str, floor: float):
        for seed, lift in enumerate((0.0, 0.06, -0.04)):
            steps = np.arange(1, 101)
            noise = 0.05 * np.sin(7.0 * steps + 3 * seed)
            fall = floor + lift + (4.4 - floor) * np.exp(-steps / 30)
            yield {
                "label": label,
                "seed": seed,
                "kind": "train",
                "steps": steps,
                "values": fall + noise,
            }
            yield {
                "label": label,
                "seed": seed,
                "kind": "eval",
                "steps": [0, *steps[24::25]],
                "values": [4.4, *fall[24::25]],
            }

    return {"series": [*runs("lora(r=2)", 3.9), *runs("qtha(r=4,waist=16,bond_dim=3)", 4.1)]}


CAPTION = (
    "Loss of each training step and loss on the held-out rows.{spread} Each method ran at the"
    " learning rate given to it; the figure does not show how it would do at another."
)


@figure_function(example=_example)
def loss_curves(series: Iterable[Series | RunWithLosses], theme: str = "light") -> Figure:
    """Plot the train loss (left) and the evaluation loss (right), each the mean over seeds.

    Up to three methods have a band around the mean. With more methods, bands would hide each other,
    and bars at the evaluations replace them.

    Args:
        series: Runs, or curves of any number of runs, as `from_events` gives them.
        theme: "light", "dark" or "page".

    Example:
        >>> run = {"label": "lora", "seed": 0, "kind": "eval"}
        >>> loss_curves([run | {"steps": [0, 50], "values": [6.3, 5.5]}]).alt
        'Evaluation loss: lora falls from 6.300 to 5.500 (1 seed).'
    """
    series = [curve for item in series for curve in _curves_of(item)]
    rows = [
        (line["label"], line["seed"], line["kind"], step, value)
        for line in series
        for step, value in zip(line["steps"], line["values"], strict=True)
    ]
    table = Table(("method", "seed", "kind", "step", "loss"), rows)
    draw = functools.partial(_draw, series)
    caption = CAPTION.format(spread=_spread_in_words(series))
    return Figure("loss_curves", draw, caption, curve_text(series), table, theme)


def _curves_of(item: Series | RunWithLosses) -> list[Series]:
    if isinstance(item, dict):
        return [item]
    experiment = item.experiment
    return from_events(experiment.method.label, experiment.seed, item.valid_events())


def _spread_in_words(series: list[Series]) -> str:
    """Describe how several seeds are drawn; empty where each method has one seed."""
    seeds: dict[tuple[str, str], int] = {}
    for line in series:
        seeds[line["label"], line["kind"]] = seeds.get((line["label"], line["kind"]), 0) + 1
    several = [count for count in seeds.values() if count > 1]
    if not several:
        return ""
    few = len({label for label, _ in seeds}) <= MOST_BANDS
    drawn = "a band is" if few else "bars at the evaluations are"
    apart = "" if few else " Methods are drawn a little apart along the steps."
    return f" Of several seeds: the mean, and {drawn} {interval_words(several)}.{apart}"


def _draw(series: list[Series], page_style: PageStyle) -> go.Figure:
    labels = list(dict.fromkeys(line["label"] for line in series))
    kinds = [
        kind
        for kind in PANELS
        if any(line["kind"] == kind and len(line["steps"]) for line in series)
    ]
    figure = go.Figure(layout=_panels(page_style, kinds))
    last = max((max(line["steps"]) for line in series if len(line["steps"])), default=0.0)
    for number, (label, style) in enumerate(distinct_styles(labels).items()):
        apart = (number - (len(labels) - 1) / 2) * APART * last
        for kind in PANELS:
            seeds = [line for line in series if (line["label"], line["kind"]) == (label, kind)]
            if len(seeds) < 2:
                figure.add_traces([curve(line, style=style) for line in seeds])
            elif len(labels) <= MOST_BANDS:
                figure.add_traces(_band(seeds, style))
            else:
                figure.add_trace(_bars(seeds, style, apart, page_style))
    name_once(traces_of(figure))
    for trace in traces_of(figure):
        trace.line.width *= page_style.line / 2
        trace.marker.size = page_style.marker
        trace.name = page_style.wrap(trace.name, page_style.width - 6 * page_style.font)
    return page_style.with_legend(figure, labels)


def _panels(page_style: PageStyle, names: list[str]) -> dict:
    """Return the layout of two panels, stacked where the page is narrow.

    Where only one kind of loss was recorded, its panel takes the whole page.
    """
    if len(names) != 1:
        return _axes(page_style.narrow) | (
            {"height": 1.1 * page_style.width} if page_style.narrow else {}
        )
    layout = _axes()
    for kind, (x, y, _) in PANELS.items():
        along, up = layout[f"xaxis{x[1:]}"], layout[f"yaxis{y[1:]}"]
        along["domain"] = [0, 1]
        along["visible"] = up["visible"] = kind in names
    return layout


def name_once(traces: Iterable[Any]) -> None:
    """Show each label once in the legend, by an evaluation curve where there is one.

    An evaluation curve carries the symbol of its method.
    """
    carriers: dict[str, Any] = {}
    for trace in traces:
        trace.showlegend = False
        if trace.legendgroup not in carriers or "markers" not in carriers[trace.legendgroup].mode:
            carriers[trace.legendgroup] = trace
    for trace in carriers.values():
        trace.showlegend = True


def curve(
    series: Series, words: str | None = None, style: dict[str, str] | None = None
) -> go.Scatter:
    """Return the line of a series, with markers at evaluations.

    Args:
        series: Curve to draw.
        words: Hover text that replaces the seed.
        style: Colour, dash and symbol; None uses the method's plot style.
    """
    style = style or method_style(series["label"])
    x, y, _ = PANELS[series["kind"]]
    evaluated = series["kind"] == "eval"
    words = words or f"seed {series['seed']}"
    return go.Scatter(
        **points(series),
        xaxis=x,
        yaxis=y,
        name=shown(series["label"]),
        legendgroup=series["label"],
        mode="lines+markers" if evaluated else "lines",
        line={"color": style["color"], "dash": style["dash"], "width": 2 if evaluated else 1.2},
        marker={"symbol": style["symbol"], "size": 8},
        hovertemplate=(
            f"{shown(series['label'])} · {words}<br>step %{{x}}: %{{y:.4f}}<extra></extra>"
        ),
        meta={"seed": series["seed"], "kind": series["kind"]},
    )


def points(series: Series) -> dict[str, np.ndarray]:
    """Return the points of a line, thinned to a drawable number."""
    steps, values = decimate(series["steps"], series["values"])
    return {"x": steps, "y": values}


def _over_seeds(seeds: list[Series]) -> tuple[list[float], np.ndarray]:
    """Return the steps that all seeds share, and their values there, (seeds, steps)."""
    common = sorted(set.intersection(*(set(line["steps"]) for line in seeds)))
    by_step = [dict(zip(line["steps"], line["values"], strict=True)) for line in seeds]
    return common, np.array([[values[step] for step in common] for values in by_step])


def _with(series: Series, steps: list[float], values: np.ndarray) -> Series:
    """Return a copy of the curve with other points."""
    kind: Kind = series["kind"]
    return {
        "label": series["label"],
        "seed": series["seed"],
        "kind": kind,
        "steps": steps,
        "values": values.tolist(),
    }


def _bars(
    seeds: list[Series], style: dict[str, str], apart: float, page_style: PageStyle
) -> go.Scatter:
    """Draw the mean over seeds as a thin line, with bars at the evaluations."""
    steps, grid = _over_seeds(seeds)
    evaluated = seeds[0]["kind"] == "eval"
    along = [step + apart for step in steps] if evaluated else steps
    line = curve(_with(seeds[0], along, grid.mean(axis=0)), f"mean of {len(seeds)} seeds", style)
    if evaluated:
        low, high = ends_over_seeds(grid)
        line.update(error_y=error_bar(grid.mean(axis=0), low, high, 0.6 * page_style.line))
    return line.update(line_width=1.2)


def _band(seeds: list[Series], style: dict[str, str]) -> list[go.Scatter]:
    """Draw the mean over seeds with a band, over the steps that all seeds share."""
    steps, grid = _over_seeds(seeds)
    ends = ends_over_seeds(grid)
    low, high, mean = (
        curve(_with(seeds[0], steps, values), words, style)
        for values, words in zip(
            (*ends, grid.mean(axis=0)), ("", "", f"mean of {len(seeds)} seeds"), strict=True
        )
    )
    color = faint(style["color"])
    for edge in (low, high):
        edge.update(mode="lines", line_width=0, hoverinfo="skip", hovertemplate=None)
    high.update(fill="tonexty", fillcolor=color)
    return [low, high, mean]


def decimate(steps, values, most: int = 800) -> tuple[np.ndarray, np.ndarray]:
    """Thin a curve to about `most` points, keeping the minimum and maximum of each interval.

    No spike is lost.

    Returns:
        The remaining steps and values, each (remaining points,).

    Example:
        >>> steps, values = decimate(range(10_000), [9.0] + 9_999 * [1.0], most=100)
        >>> len(steps) <= 102, values.max().item(), steps[-1].item()
        (True, 9.0, 9999)
    """
    steps, values = np.asarray(steps), np.asarray(values, dtype=float)
    if len(steps) <= most:
        return steps, values
    edges = np.linspace(0, len(steps), most // 2 + 1).astype(int)
    indices = {0, len(steps) - 1}
    for start, stop in itertools.pairwise(edges):
        indices |= {start + values[start:stop].argmin(), start + values[start:stop].argmax()}
    positions = np.array(sorted(indices))
    return steps[positions], values[positions]


def curve_text(series: Iterable[Series]) -> str:
    """Describe the first and last evaluation loss of each method, as alt text."""
    runs: dict[str, list[Series]] = {}
    for line in series:
        if line["kind"] == "eval" and len(line["steps"]):
            runs.setdefault(line["label"], []).append(line)
    if not runs:
        return "Evaluation loss: nothing evaluated yet."
    return f"Evaluation loss: {'; '.join(_curve_text(label, runs[label]) for label in runs)}."


def _curve_text(label: str, seeds: list[Series]) -> str:
    first = np.mean([line["values"][0] for line in seeds])
    last = [line["values"][-1] for line in seeds]
    n_seeds = len({line["seed"] for line in seeds})
    count = f"{n_seeds} seed{'s' if n_seeds > 1 else ''}"
    if len(seeds) > n_seeds:
        count = f"{len(seeds)} runs of {count}"
    if all(len(line["steps"]) == 1 for line in seeds):
        return f"{shown(label)} starts at {first:.3f} ({count})"
    verb = "falls" if np.mean(last) < first else "goes"
    spread = f", {min(last):.3f} to {max(last):.3f}" if len(seeds) > 1 else ""
    return f"{shown(label)} {verb} from {first:.3f} to {np.mean(last):.3f} ({count}{spread})"
