"""One figure after another in the same place, with only what differs sent to the page."""

from typing import Any, cast

import numpy as np
import plotly.graph_objects as go
from plotly.basedatatypes import BaseTraceType

from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.machinery.look import Look

from . import look
from .chart import MODEBAR

PAGE = Look("page")


class FigureView:
    """Put `view.panel` on a page, then `view.show(figure)` as often as there is another.

    Args:
        figure: The first figure.
        css: A class of the style sheet, for diagrams of their own colours "".
    """

    def __init__(self, figure: Figure, css: str = "qtha-plot"):
        self.figure = figure
        self.sent = _plain(figure.at(PAGE))
        self.widget = go.FigureWidget(self.sent)
        self.caption = look.text(figure.alt, "qtha-text")
        self.panel = look.column(self.widget, self.caption, css=css)
        self.remember()

    def show(self, figure: Figure) -> None:
        """Draw another figure: changed parts only where it has the same traces, else all of it."""
        old, new, self.figure = self.sent, _plain(figure.at(PAGE)), figure
        self.sent = new
        with self.widget.batch_update():
            if _kinds(old) == _kinds(new):
                for trace, *data in zip(self.traces, old["data"], new["data"], strict=True):
                    trace.update(_changed(*data))
            else:
                self.widget.data = ()
                self.widget.add_traces(new["data"])
            self.widget.layout.update(_changed(old["layout"], new["layout"]), overwrite=True)
        self.caption.value = figure.alt
        self.remember()

    @property
    def traces(self) -> tuple[BaseTraceType, ...]:
        """The traces on the page."""
        return cast(tuple, self.widget.data)

    def remember(self) -> None:
        """Put what is drawn into the widget's state, from which a reloaded page draws it again."""
        self.widget._repr_mimebundle_()


def _plain(figure: go.Figure) -> dict[str, Any]:
    """The drawing as plain data, as wide as the page unless it has a width of its own."""
    drawing = cast(go.Layout, figure.layout).to_plotly_json()
    layout = {"autosize": "width" not in drawing, "modebar": MODEBAR, **drawing}
    traces = cast(tuple[BaseTraceType, ...], figure.data)
    return {"data": [trace.to_plotly_json() for trace in traces], "layout": layout}


def _kinds(plain: dict[str, Any]) -> list[str]:
    return [trace["type"] for trace in plain["data"]]


def _changed(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Entries of `new` that `old` has not."""
    return {key: value for key, value in new.items() if not _same(old.get(key), value)}


def _same(old: Any, new: Any) -> bool:
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_same(old[key], new[key]) for key in new)
    if isinstance(old, np.ndarray) or isinstance(new, np.ndarray):
        return np.array_equal(np.asarray(old, dtype=object), np.asarray(new, dtype=object))
    return type(old) is type(new) and old == new
