"""Plot of the distance of an ansatz from Haar-random states, against layers.

Takes computed divergences. A small divergence does not imply a good fit, and such circuits are hard
to train.
"""

import functools
from collections.abc import Sequence
from typing import Any, TypedDict

import plotly.graph_objects as go

from qtha_lab.figures.machinery import labels, ticks
from qtha_lab.figures.machinery import theme as themes
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.registry import figure_function
from qtha_lab.figures.machinery.table import Table


class Expressed(TypedDict):
    """KL divergence of an ansatz's state fidelities from those of Haar-random states."""

    ansatz: str
    n_layers: int
    kl: float


def _example() -> dict:
    divergences = {
        "qtha": (0.31, 0.06, 0.02, 0.012),
        "strongly_entangling": (0.24, 0.03, 0.011, 0.009),
        "product": (0.62, 0.55, 0.53, 0.52),
    }
    points = [
        {"ansatz": name, "n_layers": layers, "kl": kl}
        for name, values in divergences.items()
        for layers, kl in enumerate(values, start=1)
    ]
    return {"points": points, "n_qubits": 4}


@figure_function(example=_example)
def expressibility(
    points: Sequence[Expressed], n_qubits: int | None = None, theme: str = "light"
) -> Figure:
    """Plot the divergence from Haar-random states against layers, one line per ansatz.

    Lower is more expressive.

    Args:
        points: One per ansatz and number of layers.
        n_qubits: Number of qubits of all circuits, for the caption; None omits it.
        theme: "light", "dark" or "page".

    Example:
        >>> expressibility([{"ansatz": "qtha", "n_layers": 1, "kl": 0.3}]).alt
        'Divergence from random states (smaller is more expressive): qtha 0.3 at 1 layer.'

    Source:
        Sim, Johnson and Aspuru-Guzik 2019, arXiv:1905.10876, equation 8.
    """
    lines: dict[str, list[Expressed]] = {}
    for point in sorted(points, key=lambda p: p["n_layers"]):
        lines.setdefault(point["ansatz"], []).append(point)
    findings = "; ".join(f"{name} {_ends(line)}" for name, line in lines.items()) or "none measured"
    of = f" of {n_qubits} qubits" if n_qubits else ""
    alt = f"Divergence from random states{of} (smaller is more expressive): {findings}."
    caption = (
        f"Kullback–Leibler divergence of the fidelities between states{of} at random angles from"
        " those of Haar-random states, against the layers. It depends on the number of samples and"
        " bins, and does not say whether the circuit can be trained."
    )
    table = Table.of(
        [{"expressibility" if k == "kl" else k: v for k, v in p.items()} for p in points]
    )
    return Figure("expressibility", functools.partial(_draw, lines), caption, alt, table, theme)


def _ends(line: list[Expressed]) -> str:
    first, last = line[0], line[-1]
    end = f"{last['kl']:.3g} at {last['n_layers']} layer{'s' if last['n_layers'] > 1 else ''}"
    return end if first is last else f"goes from {first['kl']:.3g} at {first['n_layers']} to {end}"


def _draw(lines: dict[str, list[Expressed]], page_style: PageStyle) -> go.Figure:
    styles = themes.distinct_styles(lines)
    figure = go.Figure()
    for name, line in lines.items():
        x, y = [p["n_layers"] for p in line], [p["kl"] for p in line]
        hover = f"{name}<br>%{{x}} layers: %{{y:.3g}}<extra></extra>"
        figure.add_trace(page_style.line_of(name, styles[name], x=x, y=y, hovertemplate=hover))
    divergences = [p["kl"] for line in lines.values() for p in line]
    most = max((p["n_layers"] for line in lines.values() for p in line), default=1)
    spacing: dict[str, Any] = {"dtick": 1} if most <= 12 else {}
    figure.update_xaxes(title_text=labels.axis("n_layers"), **spacing)
    figure.update_yaxes(title_text=labels.axis("expressibility"), **ticks.log_axis(divergences))
    return page_style.with_legend(figure, list(lines))
