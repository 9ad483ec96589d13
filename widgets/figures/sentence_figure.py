"""A figure that shows a sentence in place of a plot."""

from typing import Any

import plotly.graph_objects as go

from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.machinery.table import Table


def nothing(reason: str) -> Figure:
    """Return a figure that shows a sentence in place of a plot."""
    first = reason.split(" ")[0]  # a method name keeps its spelling
    capital = reason if first.endswith(":") else reason[:1].upper() + reason[1:]
    sentence = capital.rstrip(".") + "."

    def draw(page_style: Any) -> go.Figure:
        hidden = {"visible": False}
        words = {
            "text": page_style.wrap(sentence, 0.9 * page_style.width),
            "showarrow": False,
            "x": 0.5,
            "y": 0.5,
        }
        page = {"xref": "paper", "yref": "paper"}
        axes = {"xaxis": hidden, "yaxis": hidden, "annotations": [words | page]}
        # fixed margins, also on narrow pages
        margin = {"l": 0, "r": 0, "t": 0, "b": 0, "autoexpand": False}
        return go.Figure(layout={**axes, "height": 120, "margin": margin})

    return Figure("nothing", draw, sentence, sentence, Table((), ()))
