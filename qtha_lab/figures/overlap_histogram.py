"""Histogram of the overlaps of random states of circuit families, beside that of random states.

Takes shares, such as those of `qtha_lab.analysis.circuits.expressibility`.
"""

import functools
from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go

from qtha_lab.figures.machinery import theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import panels
from qtha_lab.figures.machinery.table import Table

HAAR = "random states"
LOW = 0.1  # overlap below which the alt text counts pairs


def _example() -> dict:
    return {
        "shares": {"qtha": [0.5, 0.3, 0.2], "product": [0.3, 0.3, 0.4]},
        "haar": [0.6, 0.3, 0.1],
    }


@figure_function(example=_example)
def overlap_histogram(
    shares: Mapping[str, Sequence[float]], haar: Sequence[float], theme: str = "light"
) -> Figure:
    """Plot the share of pairs of states by their overlap, one line per family.

    Args:
        shares: Share of the pairs in each bin of [0, 1], by family.
        haar: The same of uniformly random states, which a dotted line shows.
        theme: "light", "dark" or "page".

    Example:
        >>> overlap_histogram({"qtha": [0.5, 0.5]}, [0.7, 0.3]).alt
        'Pairs of states with an overlap below 0.5: random states 70 %, qtha 50 %.'

    Source:
        Sim, Johnson and Aspuru-Guzik 2019, arXiv:1905.10876, figure 1.
    """
    of_all = {HAAR: list(haar), **{name: list(values) for name, values in shares.items()}}
    low = max(1, round(LOW * len(haar)))
    found = ", ".join(f"{name} {100 * sum(of[:low]):.0f} %" for name, of in of_all.items())
    alt = f"Pairs of states with an overlap below {low / len(haar):.2g}: {found}."
    caption = (
        "Share of pairs of states at random angles by their overlap |⟨ψ|φ⟩|², in bins of equal"
        " width. The dotted line is that of uniformly random states. The distance of two lines says"
        " which states are reached, not how well a function is fitted."
    )
    centres = [(k + 0.5) / len(haar) for k in range(len(haar))]
    rows = [
        (name, x, float(y)) for name, of in of_all.items() for x, y in zip(centres, of, strict=True)
    ]
    table = Table(("family", "overlap", "share"), rows)
    draw = functools.partial(_draw, table.frame)
    return Figure("overlap_histogram", draw, caption, alt, table, theme)


def _draw(frame: pd.DataFrame, page_style: PageStyle) -> go.Figure:
    frame = frame.sort_values("family", key=lambda of: of == HAAR, kind="stable")  # in front
    families = list(dict.fromkeys(frame["family"]))
    grey = {"color": page_style.inks.text, "dash": "dot", "symbol": "circle"}
    styles = theme.distinct_styles(name for name in families if name != HAAR) | {HAAR: grey}
    return panels(
        frame, "overlap", "share", "family", page_style, hover="%{x:.3g}: %{y:.3g}", styles=styles,
        mode=dict.fromkeys(families, "lines+markers") | {HAAR: "lines"},
        xaxis={"title_text": "overlap |⟨ψ|φ⟩|²"},
        yaxis={"title_text": "share of pairs", "rangemode": "tozero"},
    )  # fmt: skip
