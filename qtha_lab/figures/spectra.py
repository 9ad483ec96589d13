"""Plot of singular values by index and over training.

Takes computed values, and counts those above a threshold.
"""

import functools
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from qtha_lab.core.errors import Refusal
from qtha_lab.figures.machinery import labels, ticks
from qtha_lab.figures.machinery import theme as themes
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.parts import Unchecked, unchecked
from qtha_lab.figures.machinery.registry import figure_function
from qtha_lab.figures.machinery.table import Table

THRESHOLD = 0.01  # of the largest; smaller values are not counted
FLOOR = 1e-8  # of the largest; smaller values are float32 rounding noise


def _example() -> dict:
    index = np.arange(1, 33)
    return {
        "spectra": {
            "lora": np.where(index <= 8, 2.0 * 0.7**index, 0),
            "qtha": np.where(index <= 4, 1.2 * 0.5**index, 0),
            "full fine-tuning": 1.5 / index**1.2,
        },
        "of": "ΔW of q_proj, layer 3",
    }


@figure_function(example=_example)
def singular_values(
    spectra: Mapping[str, Sequence[float]], of: str = "ΔW", theme: str = "light"
) -> Figure:
    """Plot each label's singular values, largest first, on a logarithmic axis.

    Args:
        spectra: Singular values by label, in any order.
        of: Name of the decomposed matrix, for the texts.
        theme: "light", "dark" or "page".

    Example:
        >>> singular_values({"lora": [2.0, 1.0, 0.0]}).alt
        'Singular values of ΔW: lora has 2 of 3 above 1 % of its largest.'
    """
    sorted_ = {k: np.sort(np.asarray(v, dtype=float))[::-1] for k, v in spectra.items()}
    counts = "; ".join(f"{k} has {above(v)} of {len(v)}" for k, v in sorted_.items())
    alt = f"Singular values of {of}: {counts or 'none'} above 1 % of its largest."
    caption = (
        f"Singular values of {of}, largest first; the dotted line is 1 % of the largest of all."
        " Values under 10⁻⁸ of it are left out. How many are large says how many directions a"
        " change has, not whether they help. A part of a change that depends on the token, such as"
        " a circuit, is in no matrix."
    )
    rows = [(k, i, s) for k, v in sorted_.items() for i, s in enumerate(v, start=1)]
    table = Table(("method", "index", "singular_value"), rows)
    draw = functools.partial(_draw_decay, sorted_)
    return Figure("singular_values", draw, caption, alt, table, theme)


def above(values: np.ndarray, threshold: float = THRESHOLD) -> int:
    """Count the values that exceed this fraction of the largest.

    Example:
        >>> above(np.array([1.0, 0.5, 0.001]))
        2
    """
    return int((values > threshold * values.max(initial=0)).sum())


def _draw_decay(spectra: dict[str, np.ndarray], page_style: PageStyle) -> go.Figure | Unchecked:
    largest = max((v.max(initial=0) for v in spectra.values()), default=0) or 1.0
    above_floor = {label: v[v > FLOOR * largest] for label, v in spectra.items()}
    styles = themes.distinct_styles(spectra)
    traces = []
    for label, values in above_floor.items():
        hover = f"{label}<br>σ%{{x}} = %{{y:.3g}}<extra></extra>"
        index = np.arange(1, len(values) + 1)
        more = {"x": index, "y": values, "hovertemplate": hover}
        traces.append(page_style.plain_line(label, styles[label]) | more)
    line = {"dash": "dot", "width": 0.7 * page_style.line, "color": page_style.inks.text}
    height = {"y0": THRESHOLD * largest, "y1": THRESHOLD * largest, "yref": "y"}
    across = {"type": "line", "x0": 0, "x1": 1, "xref": "x domain", **height, "line": line}
    heights = [
        THRESHOLD * largest,
        largest,
        *(v for values in above_floor.values() for v in values),
    ]
    layout = {
        "xaxis": {"title": {"text": labels.axis("index")}, "rangemode": "tozero"},
        "yaxis": {"title": {"text": labels.axis("singular_value")}, **ticks.log_axis(heights)},
        "shapes": [across],
    }
    return page_style.with_legend(unchecked(traces, layout), list(spectra))


def _history_example() -> dict:
    steps = np.arange(0, 101, 10)
    end = np.where(np.arange(12) < 8, 1.5 * 0.6 ** np.arange(12), 0)
    values = np.outer(1 - np.exp(-steps / 40), end)  # a LoRA update: rank 8, zero at initialisation
    return {"steps": steps, "values": values, "of": "ΔW of v_proj, layer 0, lora"}


@figure_function(example=_history_example)
def spectrum_over_training(
    steps: Sequence[int], values: Sequence[Sequence[float]], of: str = "ΔW", theme: str = "light"
) -> Figure:
    """Draw singular values as a heat map: steps along x, index along y.

    Args:
        steps: Training steps of the records.
        values: The singular values at each step, (steps, index), largest first.
        of: Name of the decomposed matrix, for the texts.
        theme: "light", "dark" or "page".

    Example:
        >>> spectrum_over_training([0, 10], [[1.0, 0.0], [2.0, 1.0]]).alt
        'Singular values of ΔW above 1 % of the largest: 1 of 2 at step 0, 2 at step 10.'
    """
    grid = np.asarray(values, dtype=float)
    if grid.ndim != 2 or len(grid) != len(steps):
        raise Refusal(f"values must be (steps, index), got {grid.shape} for {len(steps)} steps.")
    first, last = (above(grid[row]) for row in (0, -1))
    alt = (
        f"Singular values of {of} above 1 % of the largest: "
        f"{first} of {grid.shape[1]} at step {steps[0]}, {last} at step {steps[-1]}."
    )
    caption = (
        f"Singular values of {of} over training. No colour: zero, or under 10⁻⁸ of the largest. "
        "A part of a change that depends on the token, such as a circuit, is in no matrix."
    )
    rows = [(s, i, v) for s, row in zip(steps, grid, strict=True) for i, v in enumerate(row, 1)]
    table = Table(("step", "index", "singular_value"), rows)
    draw = functools.partial(_draw_history, np.asarray(steps), grid)
    return Figure("spectrum_over_training", draw, caption, alt, table, theme)


def _draw_history(steps: np.ndarray, grid: np.ndarray, page_style: PageStyle) -> go.Figure:
    largest = grid.max() or 1.0
    logs = np.log10(np.where(grid > FLOOR * largest, grid, np.nan))
    low = 10 ** np.nanmin(logs, initial=np.log10(largest) - 1)
    colors = [
        [None if np.isnan(v) else v for v in row] for row in logs.T.tolist()
    ]  # JSON has no nan
    heat = go.Heatmap(
        x=steps,
        y=np.arange(1, grid.shape[1] + 1),
        z=colors,
        colorscale="Cividis",
        customdata=grid.T,
        hovertemplate="step %{x}, σ%{y} = %{customdata:.3g}<extra></extra>",
        colorbar=page_style.colorbar("σ", ticks.log_colors(low, largest)),
    )
    figure = go.Figure(heat)
    figure.update_xaxes(title_text=labels.axis("step"), showgrid=False)
    whole = {"tick0": 1, "dtick": -(-grid.shape[1] // 8)}  # an index is a whole number
    figure.update_yaxes(
        title_text=labels.axis("index"), showgrid=False, autorange="reversed", **whole
    )
    return figure
