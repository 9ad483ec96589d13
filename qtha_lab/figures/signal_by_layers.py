"""Plot of the remaining signal on a chip against circuit layers.

Takes shares, such as those of `qtha_lab.experiment.cost.chip`.
"""

import functools
from collections.abc import Sequence
from typing import TypedDict

import pandas as pd
import plotly.graph_objects as go

from qtha_lab.figures.machinery import labels
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import panels, rule
from qtha_lab.figures.machinery.table import Table


class SignalLeft(TypedDict):
    """Share of an expectation that is left on one topology, at one number of layers."""

    topology: str
    n_layers: int
    signal: float


def _example() -> dict:
    left = {"all-to-all": 0.8, "ring": 0.8, "line": 0.6}
    points = [
        {"topology": name, "n_layers": layers, "signal": share**layers}
        for name, share in left.items()
        for layers in (1, 2, 3, 4)
    ]
    return {"points": points, "scatter": 0.03}


@figure_function(example=_example)
def signal_by_layers(
    points: Sequence[SignalLeft], scatter: float | None = None, theme: str = "light"
) -> Figure:
    """Plot the share of ⟨Z⟩ that is left against the layers, one line per topology.

    Args:
        points: One per topology and number of layers.
        scatter: Standard error of ⟨Z⟩ by shots, which a horizontal line marks.
        theme: "light", "dark" or "page".

    Example:
        >>> points = [{"topology": "ring", "n_layers": n, "signal": 0.5**n} for n in (1, 2)]
        >>> signal_by_layers(points, 0.03).alt
        'Share of ⟨Z⟩ that is left: ring 0.25 after 2 layers. The shots scatter by 0.03.'
    """
    table = Table.of([dict(point) for point in points], ("topology", "n_layers", "signal"))
    frame = table.frame.sort_values("n_layers", kind="stable")
    last = frame.groupby("topology", sort=False).tail(1).set_index("topology")
    names = dict.fromkeys(frame["topology"])
    found = ", ".join(
        f"{name} {last.signal[name]:.3g} after {last.n_layers[name]} layers" for name in names
    )
    shots = "" if scatter is None else f" The shots scatter by {scatter:.3g}."
    alt = f"Share of ⟨Z⟩ that is left: {found or 'none was estimated'}.{shots}"
    caption = (
        "Estimated share of an expectation that noise of the two-qubit gates leaves, against the"
        " layers of the circuit. Each gate that can change a wire multiplies its mean by one minus"
        " the error. Read-out errors, drift and crosstalk are left out. The dashed line is the"
        " standard error of the shots, where given."
    )
    draw = functools.partial(_draw, frame, scatter)
    return Figure("signal_by_layers", draw, caption, alt, table, theme)


def _draw(frame: pd.DataFrame, scatter: float | None, page_style: PageStyle) -> go.Figure:
    values = [*frame["signal"], *([scatter] if scatter else [])]
    figure = panels(
        frame, "n_layers", "signal", "topology", page_style, hover="%{x} layers: %{y:.3g}",
        xaxis={"dtick": 1},
        yaxis={"title_text": "share of ⟨Z⟩ that is left", **labels.log_axis(values)},
    )  # fmt: skip
    return figure.add_hline(y=scatter, line=rule(page_style, "dash", 1)) if scatter else figure
