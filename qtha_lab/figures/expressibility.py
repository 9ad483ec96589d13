"""Plot of the distance of an ansatz from Haar-random states, against layers.

Takes computed divergences. A small divergence does not imply a good fit, and such circuits are hard
to train.
"""

import functools
from collections.abc import Sequence
from typing import TypedDict

import pandas as pd

from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.panels import panels
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
    table = Table.of(
        [{"expressibility" if k == "kl" else k: v for k, v in p.items()} for p in points],
        ("ansatz", "n_layers", "expressibility"),
    )
    frame = table.frame.sort_values("n_layers", kind="stable")
    lines = frame.groupby("ansatz", sort=False)
    findings = "; ".join(f"{name} {_ends(line)}" for name, line in lines) or "none measured"
    of = f" of {n_qubits} qubits" if n_qubits else ""
    alt = f"Divergence from random states{of} (smaller is more expressive): {findings}."
    caption = (
        f"Kullback–Leibler divergence of the fidelities between states{of} at random angles from"
        " those of Haar-random states, against the layers. It depends on the number of samples and"
        " bins, and does not say whether the circuit can be trained."
    )
    spacing = {"dtick": 1} if not len(frame) or frame["n_layers"].max() <= 12 else {}
    draw = functools.partial(
        panels, frame, "n_layers", "expressibility", "ansatz", hover="%{x} layers: %{y:.3g}",
        log="y", xaxis=spacing,
    )  # fmt: skip
    return Figure("expressibility", draw, caption, alt, table, theme)


def _ends(line: pd.DataFrame) -> str:
    ends = list(zip(line["n_layers"], line["expressibility"], strict=True))
    (few, first), (many, last) = ends[0], ends[-1]
    end = f"{last:.3g} at {many} layer{'s' if many > 1 else ''}"
    return end if len(ends) == 1 else f"goes from {first:.3g} at {few} to {end}"
