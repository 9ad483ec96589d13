"""Plot of the gradient variance against circuit size (barren plateaus).

Takes computed variances, each of one cost function and one distribution of angles.
"""

import functools
from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from qtha_lab.figures.machinery import theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import panels
from qtha_lab.figures.machinery.table import Table

LAW = "∝ 2⁻ⁿ"


class Variance(TypedDict):
    """Variance of a gradient entry at random angles for one circuit size."""

    ansatz: str
    n_qubits: int
    n_layers: int
    variance: float


def _example() -> dict:
    points = [
        {"ansatz": name, "n_qubits": n, "n_layers": layers, "variance": 0.4 * rate**-n + floor}
        for name, layers, rate, floor in (
            ("two_design", 8, 2.0, 0),
            ("qtha", 1, 1.2, 0.02),
            ("qtha", 4, 1.6, 0.001),
        )
        for n in (2, 4, 6, 8, 10)
    ]
    return {"points": points}


@figure_function(example=_example)
def gradient_variance(points: Sequence[Variance], theme: str = "light") -> Figure:
    """Plot the gradient variance against qubits, one line per ansatz and number of layers.

    Args:
        points: One per ansatz, number of layers and number of qubits.
        theme: "light", "dark" or "page".

    Example:
        >>> size = {"ansatz": "a", "n_layers": 1}
        >>> sizes = [size | {"n_qubits": n, "variance": 2.0**-n} for n in (2, 4)]
        >>> gradient_variance(sizes).alt
        'Variance of the gradient from 2 to 4 qubits: a, 1 layer: falls 2 times per qubit.'
    """
    points = list(points)
    lines = by_line(points)
    sizes = [p["n_qubits"] for p in points]
    findings = (
        "; ".join(f"{label}: {_rate(line)}" for label, line in lines.items()) or "none measured"
    )
    reach = f" from {min(sizes)} to {max(sizes)} qubits" if sizes else ""
    caption = (
        "Variance of the gradient over random angles against the number of qubits. The thin dotted"
        " line falls as 2⁻ⁿ, the law of a two-design. A variance at random angles says nothing of"
        " the gradient at a chosen start, nor after training."
    )
    table = Table.of(
        [{"gradient_variance" if k == "variance" else k: v for k, v in p.items()} for p in points]
    )
    draw = functools.partial(_draw, lines)
    alt = f"Variance of the gradient{reach}: {findings}."
    return Figure("gradient_variance", draw, caption, alt, table, theme)


def by_line(points: Sequence[Variance]) -> dict[str, list[Variance]]:
    """Group the points by line label, from few qubits to many."""
    lines: dict[str, list[Variance]] = {}
    for point in sorted(points, key=lambda p: p["n_qubits"]):
        layers = point["n_layers"]
        label = f"{point['ansatz']}, {layers} layer{'s' if layers > 1 else ''}"
        lines.setdefault(label, []).append(point)
    return lines


def fall(line: Sequence[Variance]) -> float | None:
    """Return the factor by which the variance shrinks per qubit.

    The factor comes from a linear fit of its logarithm.

    Example:
        >>> size = {"ansatz": "a", "n_layers": 1}
        >>> line = [size | {"n_qubits": n, "variance": 2.0**-n} for n in (2, 4, 6)]
        >>> round(fall(line), 6)
        2.0
    """
    logarithms = [(p["n_qubits"], np.log2(p["variance"])) for p in line if p["variance"] > 0]
    if len({n for n, _ in logarithms}) < 2:
        return None
    return float(2 ** -np.polyfit(*np.array(logarithms).T, deg=1)[0])


def _rate(line: Sequence[Variance]) -> str:
    rate = fall(line)
    if rate is None:
        return "one size only"
    return f"falls {rate:.3g} times per qubit" if rate > 1.02 else "does not fall"


def _draw(lines: dict[str, list[Variance]], page_style: PageStyle) -> go.Figure:
    points = [{"line": label, **point} for label, line in lines.items() for point in line]
    frame = pd.DataFrame(points, columns=["line", "ansatz", "n_qubits", "n_layers", "variance"])
    frame = frame.rename(columns={"variance": "gradient_variance"})
    styles: dict[str, dict[str, str]] = {}
    for label, line in lines.items():
        number = sum(line[0]["ansatz"] == lines[other][0]["ansatz"] for other in styles)
        kinds = {"dash": theme.DASHES, "symbol": theme.SYMBOLS}
        varied = {kind: choices[number % len(choices)] for kind, choices in kinds.items()}
        styles[label] = theme.method_style(line[0]["ansatz"]) | (varied if number else {})
    n = np.array(sorted(set(frame["n_qubits"])), dtype=float)
    first = frame[frame["n_qubits"] == frame["n_qubits"].min()]["gradient_variance"].max()
    law = {"line": LAW, "n_qubits": n, "gradient_variance": first * 2.0 ** (n.min(initial=99) - n)}
    rest = {"color": page_style.inks.text, "dash": "dot", "symbol": "circle"}
    figure = panels(
        pd.concat([frame, pd.DataFrame(law)]) if lines else frame,
        "n_qubits", "gradient_variance", "line", page_style, log="y",
        hover="%{x} qubits: %{y:.3g}", styles=styles | {LAW: rest},
        mode=dict.fromkeys(lines, "lines+markers") | {LAW: "lines"},
        xaxis={"dtick": 2 if page_style.narrow else 1},
    )  # fmt: skip
    return figure.update_traces(line_width=0.7 * page_style.line, selector={"name": LAW})
