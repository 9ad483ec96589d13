"""Plot of accuracy against the CNOT count of a circuit, by search method and seed.

Takes circuits as numbers, such as those of `qtha_lab.reproductions.machinery.listing.searches_of`.
Runs no circuit.
"""

import functools
from collections.abc import Sequence
from typing import TypedDict

from qtha_lab.core.method_styles import shown
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.panels import draw_by_size
from qtha_lab.figures.machinery.table import Table, value_text


class SearchedCircuit(TypedDict):
    """Circuit found by a search: label of the search, seed, CNOT count and accuracy."""

    label: str
    n_cnots: int
    seed: int
    accuracy: float


def _example() -> dict:
    rows = [
        ("search", 4, 0, 0.84),
        ("search", 2, 1, 0.86),
        ("search", 5, 2, 0.81),
        ("baseline", 6, 0, 0.88),
        ("baseline", 6, 1, 0.9),
        ("baseline", 6, 2, 0.85),
        ("product", 0, 0, 0.78),
        ("product", 0, 1, 0.82),
        ("product", 0, 2, 0.76),
    ]
    names = ("label", "n_cnots", "seed", "accuracy")
    return {"circuits": [dict(zip(names, row, strict=True)) for row in rows]}


@figure_function(example=_example)
def search_scatter(circuits: Sequence[SearchedCircuit], theme: str = "light") -> Figure:
    """Plot the accuracy of circuits against their CNOT counts.

    Args:
        circuits: One circuit per search method and seed.
        theme: "light", "dark" or "page".

    Example:
        >>> search_scatter([{"label": "search", "n_cnots": 4, "seed": 0, "accuracy": 0.84}]).alt
        'Mean accuracy of the circuits: search 0.84.'
    """
    table = Table.of([dict(each) for each in circuits], ("label", "n_cnots", "seed", "accuracy"))
    means = table.frame.groupby("label", sort=False)["accuracy"].mean()
    words = [f"{shown(label)} {value_text(float(mean))}" for label, mean in means.items()]
    alt = f"Mean accuracy of the circuits: {'; '.join(words) or 'none yet'}."
    caption = (
        "Accuracy against the CNOTs of a circuit: a dot for every seed, a symbol at the mean of"
        " each way of finding and number of CNOTs. Does not show how many circuits were tried"
        " before one was chosen."
    )
    drawn = functools.partial(draw_by_size, table.frame, "n_cnots", "accuracy", mode="markers")
    title = "Circuits of the search"
    return Figure("search_scatter", drawn, caption, alt, table, theme, title)
