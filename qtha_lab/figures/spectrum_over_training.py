"""Plot of singular values over training, as a heat map."""

import functools
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from qtha_lab.core.errors import Refusal
from qtha_lab.figures.machinery import labels
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.table import Table
from qtha_lab.figures.spectra import FLOOR, above


def _example() -> dict:
    steps = np.arange(0, 101, 10)
    end = np.where(np.arange(12) < 8, 1.5 * 0.6 ** np.arange(12), 0)
    values = np.outer(1 - np.exp(-steps / 40), end)  # a LoRA update: rank 8, zero at initialisation
    return {"steps": steps, "values": values, "of": "ΔW of v_proj, layer 0, lora"}


@figure_function(example=_example)
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
    draw = functools.partial(_draw, np.asarray(steps), grid)
    return Figure("spectrum_over_training", draw, caption, alt, table, theme)


def _draw(steps: np.ndarray, grid: np.ndarray, page_style: PageStyle) -> go.Figure:
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
        colorbar=page_style.colorbar("σ", labels.log_colors(low, largest)),
    )
    figure = go.Figure(heat)
    figure.update_xaxes(title_text=labels.axis("step"), showgrid=False)
    whole = {"tick0": 1, "dtick": -(-grid.shape[1] // 8)}  # an index is a whole number
    figure.update_yaxes(
        title_text=labels.axis("index"), showgrid=False, autorange="reversed", **whole
    )
    return figure
