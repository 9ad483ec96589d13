"""Plot of trained parameters against the width of a layer, one line per method.

Takes counts, such as those of `qtha_lab.analysis.method_map`.
"""

import functools
from collections.abc import Sequence
from typing import TypedDict

import pandas as pd
import plotly.graph_objects as go

from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import panels, rule
from qtha_lab.figures.machinery.table import Table


class SizeAtWidth(TypedDict):
    """Trained parameters of one method at one width of a square layer."""

    method: str
    width: int
    parameters: int


def _example() -> dict:
    laws = {"lora": lambda w: 8 * w, "qtha": lambda w: 8000 + w, "quanta": lambda w: 24 * w}
    points = [
        {"method": name, "width": w, "parameters": law(w)}
        for name, law in laws.items()
        for w in (64, 256, 1024, 4096)
    ]
    return {"points": points, "width": 1024}


@figure_function(example=_example)
def parameters_by_width(
    points: Sequence[SizeAtWidth], width: int | None = None, theme: str = "light"
) -> Figure:
    """Plot trained parameters against the width of a square layer, both on a log scale.

    Args:
        points: One per method and width.
        width: Width that a vertical line marks, and of which the alt text speaks.
        theme: "light", "dark" or "page".

    Example:
        >>> points = [{"method": "lora", "width": w, "parameters": 8 * w} for w in (64, 128)]
        >>> parameters_by_width(points, 128).alt
        'Trained parameters of a layer of width 128: lora 1,024.'
    """
    table = Table.of([dict(point) for point in points], ("method", "width", "parameters"))
    frame = table.frame.sort_values("width", kind="stable")
    at = width or (frame["width"].max() if len(frame) else 0)
    here = frame[frame["width"] == at]
    found = dict(zip(here["method"], here["parameters"], strict=True))
    listed = ", ".join(f"{name} {count:,}" for name, count in sorted(found.items(), key=_count))
    alt = f"Trained parameters of a layer of width {at:,}: {listed or 'none was counted'}."
    caption = (
        "Trained parameters of one square layer against its width, by the formula of each method."
        " A smaller number of trained parameters says nothing about the loss, nor about the"
        " numbers that a merged or generated layer stores."
    )
    draw = functools.partial(_draw, frame, width)
    return Figure("parameters_by_width", draw, caption, alt, table, theme)


def _count(item: tuple[str, int]) -> int:
    return item[1]


def _draw(frame: pd.DataFrame, width: int | None, page_style: PageStyle) -> go.Figure:
    places = sorted(set(frame["width"]))
    widths = {"type": "log", "tickvals": places, "ticktext": [f"{place:,}" for place in places]}
    figure = panels(
        frame, "width", "parameters", "method", page_style, hover="width %{x:,}: %{y:,}", log="y",
        xaxis={"title_text": "width of the layer", **widths},
        yaxis={"title_text": "trained parameters"},
    )  # fmt: skip
    return figure.add_vline(x=width, line=rule(page_style, width=1)) if width else figure
