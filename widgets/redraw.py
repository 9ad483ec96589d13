"""One figure after another in the same place, with only what differs sent to the page."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.machinery.look import Look

from . import look
from .chart import MODEBAR

PAGE = Look("page")


class Redrawn:
    """Put `redrawn.panel` on a page, then `redrawn.show(figure)` as often as there is another.

    Args:
        figure: The first one.
        css: A class of the style sheet, for diagrams of their own colours "".
    """

    def __init__(self, figure: Figure, css: str = "qtha-plot"):
        self.figure = figure
        self.sent = _plain(figure.at(PAGE))
        self.widget = go.FigureWidget(self.sent)
        self.said = look.text(figure.alt, "qtha-said")
        self.panel = look.column(self.widget, self.said, css=css)
        self.remember()

    def show(self, figure: Figure) -> None:
        """Draw another figure: changed parts only where it has the same traces, else all of it."""
        drawn, self.figure = _plain(figure.at(PAGE)), figure
        before, self.sent = self.sent, drawn
        with self.widget.batch_update():
            if _kinds(before) == _kinds(drawn):
                for trace, old, new in zip(
                    self.widget.data, before["data"], drawn["data"], strict=True
                ):
                    trace.update(_changed(old, new))
            else:
                self.widget.data = ()
                self.widget.add_traces(drawn["data"])
            self.widget.layout.update(_changed(before["layout"], drawn["layout"]), overwrite=True)
        self.said.value = figure.alt
        self.remember()

    def remember(self) -> None:
        """Put what is drawn into the widget's state, from which a reloaded page draws it again."""
        self.widget._repr_mimebundle_()


def _plain(figure: go.Figure) -> dict[str, Any]:
    """The drawing as plain data, as wide as the page unless it has a width of its own."""
    drawn = figure.layout.to_plotly_json()
    layout = {"autosize": "width" not in drawn, "modebar": MODEBAR, **drawn}
    return {"data": [trace.to_plotly_json() for trace in figure.data], "layout": layout}


def _kinds(drawn: dict[str, Any]) -> list[str]:
    return [trace["type"] for trace in drawn["data"]]


def _changed(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Entries of `new` that `old` has not."""
    return {key: value for key, value in new.items() if not _same(old.get(key), value)}


def _same(old: Any, new: Any) -> bool:
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_same(old[key], new[key]) for key in new)
    if isinstance(old, np.ndarray) or isinstance(new, np.ndarray):
        return np.array_equal(np.asarray(old, dtype=object), np.asarray(new, dtype=object))
    return type(old) is type(new) and old == new
