"""Heat map of an expectation over two angles.

Takes values, such as those of `qtha_lab.analysis.circuits.landscape`.
"""

import functools
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.table import Table

TICKS = {"tickvals": [-np.pi, 0, np.pi], "ticktext": ["-π", "0", "π"]}
SCALE = [[0.0, "#2166ac"], [0.5, "#f7f7f7"], [1.0, "#b2182b"]]


def _example() -> dict:
    angles = np.linspace(-np.pi, np.pi, 13)
    return {"angles": angles, "values": np.outer(np.cos(angles), np.cos(angles))}


@figure_function(example=_example)
def angle_landscape(
    angles: Sequence[float],
    values: Sequence[Sequence[float]],
    observable: str = "Z0",
    theme: str = "light",
) -> Figure:
    """Plot an expectation over two angles as a heat map from -1 to 1.

    Args:
        angles: Values of both angles, in radians.
        values: Expectation by second and first angle.
        observable: Pauli string that was measured.
        theme: "light", "dark" or "page".

    Example:
        >>> angle_landscape([0.0, 1.0], [[1.0, 0.5], [0.5, 0.0]]).alt
        '⟨Z0⟩ over two angles: from 0.000 to 1.000, standard deviation 0.354.'
    """
    table_of = np.asarray(values, float)
    low, high, spread = table_of.min(), table_of.max(), table_of.std()
    alt = (
        f"⟨{observable}⟩ over two angles: from {low:.3f} to {high:.3f}, "
        f"standard deviation {spread:.3f}."
    )
    caption = (
        f"⟨{observable}⟩ over the two trained angles with the largest gradients, with the others"
        " fixed at random values. A flat picture at one draw is no proof of a plateau, which is a"
        " statement on the mean over draws."
    )
    rows = [
        (float(x), float(y), float(table_of[j, i]))
        for j, y in enumerate(angles)
        for i, x in enumerate(angles)
    ]
    table = Table(("one_angle", "another_angle", "expectation"), rows)
    draw = functools.partial(_draw, list(map(float, angles)), table_of.tolist(), observable)
    return Figure("angle_landscape", draw, caption, alt, table, theme)


def _draw(
    angles: list[float], values: list[list[float]], observable: str, page_style: PageStyle
) -> go.Figure:
    bar = page_style.colorbar(f"⟨{observable}⟩", {"tickvals": [-1, 0, 1]})
    hover = "%{x:.2f}, %{y:.2f}: %{z:.3f}<extra></extra>"
    colors = {"zmin": -1, "zmax": 1, "colorscale": SCALE, "colorbar": bar}
    cells = go.Heatmap(x=angles, y=angles, z=values, hovertemplate=hover, **colors)
    figure = go.Figure(cells)
    figure.update_xaxes(title_text="one trained angle (radians)", **TICKS)
    figure.update_yaxes(title_text="another (radians)", **TICKS)
    return figure
