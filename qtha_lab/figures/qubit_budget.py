"""Accuracy against qubits: a line per method through the means over seeds, a dot per seed.

Takes runs as numbers; those without qubits are a line across, since they are the same at every budget.
"""

import functools
from collections.abc import Sequence
from typing import TypedDict

import plotly.graph_objects as go

from qtha_lab.figures.machinery import labels
from qtha_lab.figures.machinery import theme as themes
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.machinery.look import Look
from qtha_lab.figures.machinery.registry import figure_function
from qtha_lab.figures.machinery.table import Table, written
from qtha_lab.looks import shown


class Run(TypedDict):
    """The accuracy of one method with one seed; `n_qubits` is None of a method without qubits."""

    label: str
    n_qubits: int | None
    seed: int
    test_accuracy: float


def _example() -> dict:
    means = {("network", 2): 0.71, ("network", 4): 0.83, ("network", 8): 0.86, ("components", 2): 0.66,
             ("components", 4): 0.81, ("components", 8): 0.84, ("linear", None): 0.88}  # fmt: skip
    return {
        "runs": [
            {"label": label, "n_qubits": n, "seed": seed, "test_accuracy": mean + lift}
            for (label, n), mean in means.items()
            for seed, lift in enumerate((-0.02, 0.0, 0.02))
        ]
    }


@figure_function(example=_example)
def qubit_budget(runs: Sequence[Run], theme: str = "light") -> Figure:
    """Test accuracy against the number of qubits.

    Args:
        runs: One for every method, number of qubits and seed.
        theme: "light", "dark" or "page".

    Example:
        >>> run = {"label": "circuit", "n_qubits": 4, "seed": 0, "test_accuracy": 0.75}
        >>> qubit_budget([run]).alt
        'Test accuracy at the most qubits, mean over seeds: circuit 0.75 at 4.'
    """
    lines = _means(runs)
    ends = []
    for label, points in lines.items():
        n, mean = points[-1]
        ends.append(f"{shown(label)} {written(mean)}{'' if n is None else f' at {n}'}")
    alt = f"Test accuracy at the most qubits, mean over seeds: {'; '.join(ends) or 'no runs yet'}."
    caption = (
        "Test accuracy against the number of qubits: means over seeds as lines, a dot for every seed; a method without "
        "qubits is a line across. A line that is flat from few qubits on needs no more of them. Does not show what other "
        "parts of a method grow with its qubits."
    )
    records = [dict(run) for run in runs]
    draw = functools.partial(_draw, list(runs))
    title = "Accuracy at a budget of qubits"
    return Figure("qubit_budget", draw, caption, alt, Table.of(records), theme, title)


def _means(runs: Sequence[Run]) -> dict[str, list[tuple[int | None, float]]]:
    """The mean accuracy of each method at each number of qubits, ascending."""
    values: dict[str, dict[int | None, list[float]]] = {}
    for run in runs:
        at = values.setdefault(run["label"], {})
        at.setdefault(run["n_qubits"], []).append(run["test_accuracy"])
    return {
        label: [(n, sum(at[n]) / len(at[n])) for n in sorted(at, key=lambda n: n or 0)]
        for label, at in values.items()
    }


def _draw(runs: list[Run], look: Look) -> go.Figure:
    figure, lines = go.Figure(), _means(runs)
    styles = themes.distinct_styles(lines)
    budgets = sorted({run["n_qubits"] for run in runs if run["n_qubits"] is not None})
    for label, points in lines.items():
        across = points[0][0] is None
        along = budgets if across else [n for n, _ in points]
        up = [points[0][1]] * len(along) if across else [mean for _, mean in points]
        hover = f"{shown(label)}<br>%{{x}} qubits: %{{y:.4g}}<extra></extra>"
        trace = look.line_of(label, styles[label], x=along, y=up, hovertemplate=hover)
        figure.add_trace(trace.update(mode="lines" if across else "lines+markers"))
        dots = [] if across else [run for run in runs if run["label"] == label]
        figure.add_scatter(
            x=[run["n_qubits"] for run in dots], y=[run["test_accuracy"] for run in dots], mode="markers",
            marker={"color": styles[label]["color"], "size": 4, "opacity": 0.5}, showlegend=False, hoverinfo="skip",
        )  # fmt: skip
    figure.update_xaxes(title_text=labels.axis("n_qubits"), tickvals=budgets)
    figure.update_yaxes(title_text=labels.axis("test_accuracy"))
    return look.with_legend(figure, list(lines))
