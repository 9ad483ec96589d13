"""Figure of the loss curves of runs in progress: running means, recorded losses, evaluations.

Numbers in, figure out. `qtha_lab.figures.loss_curves.loss_curves` shows means over seeds.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import plotly.graph_objects as go

from qtha_lab.figures.loss_curves import (
    curve,
    curve_text,
    empty_curves,
    name_once,
    stacked,
)
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.parts import traces_of
from qtha_lab.figures.machinery.table import Table
from qtha_lab.figures.machinery.theme import faint

from .variants import variants

FAINT = 0.3  # opacity of the recorded train loss behind its running mean
MARGIN = {"l": 48, "r": 8, "t": 32, "b": 40}
LEFT, RIGHT = (0.0, 0.43), (0.57, 1.0)  # the two panels beside each other
TITLES = {"step": "step", "seconds": "seconds of training", "tokens": "tokens"}
CAPTION = (
    "Train loss as a running mean with the recorded loss behind it, and loss on the held-out rows."
    " Each run has a line."
)


class LiveLine(NamedTuple):
    """One curve: `kind` is "train", "eval" or "mean"; hidden curves keep their place."""

    label: str
    seed: int
    kind: str
    x: Sequence[float]
    y: Sequence[float]
    hidden: bool = False

    def series(self) -> Any:
        """Return the curve in the format of the figure functions."""
        of = "eval" if self.kind == "eval" else "train"
        return {
            "label": self.label, "seed": self.seed, "kind": of, "steps": self.x, "values": self.y,
        }  # fmt: skip


class Axes(NamedTuple):
    """Quantity along the horizontal axis, scales, and the planned end of an empty figure."""

    along: str = "step"
    log_x: bool = False
    log_y: bool = False
    end: float = 0.0


def live_curves(lines: Sequence[LiveLine], axes: Axes, table: Table | None = None) -> Figure:
    """Return the figure of curves in progress.

    Args:
        lines: The curves.
        axes: Quantity and scales of the axes.
        table: Numbers of the figure; default none.
    """
    alt = live_words([line for line in lines if line.kind == "eval"])
    table = table or Table(("method", "seed", "kind", "step", "loss"), ())
    return Figure("loss_curves", partial(_draw, lines, axes), CAPTION, alt, table, "page")


def live_words(evaluated: Sequence[LiveLine]) -> str:
    """Return the finding on evaluation curves in words, one curve per run."""
    known = variants(line.label for line in evaluated)
    seen = [line._replace(label=known[line.label].name) for line in evaluated if not line.hidden]
    count = f" {len(seen)} of {len(evaluated)} runs are drawn."
    return curve_text([line.series() for line in seen]) + count * (len(seen) < len(evaluated))


def narrow_layout(axes: Axes) -> dict[str, Any]:
    """Return the changes of the layout that stack the two panels."""
    return _scaled(stacked(), axes)


def _draw(lines: Sequence[LiveLine], axes: Axes, style: PageStyle) -> go.Figure:
    figure = empty_curves(style.theme)
    known = variants(line.label for line in lines)
    figure.add_traces([_trace(line, known[line.label].style) for line in lines])
    name_once(
        [t for t in traces_of(figure) if t.meta["kind"] != "train" and t.visible is not False]
    )
    for trace in traces_of(figure):
        trace.name = style.wrap(known[trace.legendgroup].name, style.width - 6 * style.font)
        if not style.on_screen:
            trace.line.width *= style.line / 2
            trace.marker.size = style.marker
    layout = (
        stacked() if style.narrow and not style.on_screen else figure.to_plotly_json()["layout"]
    )
    figure.update_layout(_scaled(layout, axes))
    if not any(len(line.x) for line in lines):
        _wait(figure, axes)
    if style.on_screen:
        return _on_screen(figure)
    return style.with_legend(figure, [variant.name for variant in known.values()])


def _on_screen(figure: go.Figure) -> go.Figure:
    figure.update_layout(font_size=12, margin=MARGIN, xaxis_domain=LEFT, xaxis2_domain=RIGHT)
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(title_font_size=12, title_standoff=4)
    return figure.update_yaxes(title_font_size=12, title_standoff=4)


def _wait(figure: go.Figure, axes: Axes) -> None:
    """Show the planned range, and no numbers of losses, before the first point."""
    figure.update_yaxes(showticklabels=False)
    if axes.end and not axes.log_x:
        figure.update_xaxes(range=[0, axes.end])
    else:
        figure.update_xaxes(showticklabels=False)


def _scaled(layout: dict[str, Any], axes: Axes) -> dict[str, Any]:
    """Return the axes of a layout with their titles and scales."""
    scaled = {k: v for k, v in layout.items() if k == "height"}
    for name, axis in layout.items():
        if name.startswith(("xaxis", "yaxis")):
            is_log = axes.log_x if name.startswith("x") else axes.log_y
            title = {"title": {"text": TITLES[axes.along]}} if name.startswith("x") else {}
            title |= {"matches": "x"} if name == "xaxis2" else {}
            scaled[name] = {**axis, **title, "type": "log" if is_log else "linear"}
    return scaled


def _trace(line: LiveLine, style: Any) -> go.Scatter:
    """Return the line of one curve; the recorded train loss is faint."""
    trace = curve(line.series(), style=dict(style))
    trace.update(x=list(line.x), y=list(line.y), meta={"seed": line.seed, "kind": line.kind})
    if line.hidden:
        trace.update(visible=False)
    if line.kind == "train":
        color = faint(style["color"], FAINT)
        trace.update(line={"color": color, "width": 1, "dash": "solid"}, hoverinfo="skip")
        trace.update(hovertemplate=None, showlegend=False)
    elif line.kind == "mean":
        trace.update(line={"width": 2.2})
    return trace
