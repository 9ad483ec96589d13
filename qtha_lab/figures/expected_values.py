"""Bars of a few values, such as amplitudes, beside the expected values."""

import functools
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from qtha_lab.figures.machinery import theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import striped
from qtha_lab.figures.machinery.parts import unchecked
from qtha_lab.figures.machinery.table import Table

GOT, EXPECTED = "yours", "expected"


def _example() -> dict:
    return {"got": [0.955, 0.296, 0.0, 0.0], "expected": [0.989, 0.0, 0.0, 0.149]}


@figure_function(example=_example)
def expected_values(
    got: Sequence[float], expected: Sequence[float], theme: str = "light"
) -> Figure:
    """Plot measured and expected values, two bars per entry.

    Args:
        got: Values that a piece of code gives.
        expected: Values that it should give.
        theme: "light", "dark" or "page".

    Example:
        >>> expected_values([1.0, 0.5], [1.0, 0.0]).alt
        '2 entries, of which 1 differs: entry 1 is 0.5 instead of 0.'
    """
    values, right = (np.asarray(of, dtype=float) for of in (got, expected))
    gaps = np.abs(values - right)
    differing = int((gaps > 1e-9).sum())
    worst = int(gaps.argmax())
    alt = f"{len(values)} entries, none of which differs."
    if differing:
        alt = (
            f"{len(values)} entries, of which {differing} differ{'s' if differing == 1 else ''}:"
            f" entry {worst} is {values[worst]:.3g} instead of {right[worst]:.3g}."
        )
    caption = (
        "Values of one input by entry, beside the expected ones. The largest difference is the one"
        " to look for first; entries that agree are no proof, since other inputs may differ."
    )
    rows = [(k, float(a), float(b)) for k, (a, b) in enumerate(zip(values, right, strict=True))]
    table = Table(("entry", GOT, EXPECTED), rows)
    draw = functools.partial(_draw, values.tolist(), right.tolist())
    return Figure("expected_values", draw, caption, alt, table, theme)


def _draw(got: list[float], expected: list[float], page_style: PageStyle) -> go.Figure:
    places = [str(k) for k in range(len(got))]
    markers = {
        GOT: {"color": theme.BLUE},
        EXPECTED: striped(theme.GREY, "/", page_style, "#ffffff"),
    }
    traces = [
        {
            "type": "bar",
            "name": name,
            "x": places,
            "y": values,
            "marker": markers[name],
            "hovertemplate": f"{name}, entry %{{x}}: %{{y:.6g}}<extra></extra>",
        }
        for name, values in ((GOT, got), (EXPECTED, expected))
    ]
    layout = {
        "barmode": "group",
        "xaxis": {"title": {"text": "entry"}, "type": "category", "showgrid": False},
        "yaxis": {"title": {"text": "value"}},
    }
    return page_style.with_legend(unchecked(traces, layout), [GOT, EXPECTED])
