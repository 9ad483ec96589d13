"""A view that shows one figure after another in the same place; independent of controls."""

from typing import Any, NamedTuple

import anywidget
import traitlets

from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.machinery.page_style import PageStyle

from ..kit.page_module import PageModule
from . import plotly_js

PAGE = PageStyle("page")


class Sheet(NamedTuple):
    """A figure and its drawing as plain data; a thread may create it."""

    figure: Figure
    drawing: dict[str, Any]

    @classmethod
    def of(cls, figure: Figure) -> "Sheet":
        """Draw a figure for a page."""
        drawing = figure.drawing(PAGE)
        return cls(
            figure, drawing | {"layout": {"modebar": plotly_js.MODEBAR, **drawing["layout"]}}
        )


class FigureView(PageModule, anywidget.AnyWidget):
    """A view of one figure at a time; `view.show(sheet)` replaces it.

    Unchanged parts are not sent to the page.

    Args:
        sheet: The first figure.
    """

    MODULE = ("plotly.js", "figure_frame.js", "figure_view.js")
    BEFORE = plotly_js.BEFORE
    drawing = traitlets.Dict().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    still = traitlets.Unicode().tag(sync=True)
    visible = traitlets.Bool(True).tag(sync=True)
    brush = traitlets.Dict().tag(sync=True)
    """The last selection: `boxes` (x from, x to, y from, y to) and `ids` of the points inside."""

    def __init__(self, sheet: Sheet):
        self.figure = sheet.figure
        super().__init__(drawing=sheet.drawing, alt=sheet.figure.alt)
        self.on_msg(self._answer)
        self.add_class("qtha-plot")

    def show(self, sheet: Sheet) -> None:
        """Draw another figure."""
        self.figure = sheet.figure
        with self.hold_sync():
            self.drawing, self.alt, self.still = sheet.drawing, sheet.figure.alt, ""

    def draw_still(self) -> str:
        """Draw the figure as an SVG for pages without scripts; the widget's state stores it."""
        self.still = self.figure.svg()
        return self.still

    @property
    def traces(self) -> list[dict[str, Any]]:
        """The traces as the page holds them."""
        return self.drawing["data"]

    def _answer(self, _, question: dict[str, Any], _buffers: list) -> None:
        if question["kind"] == "script":
            self.send({"kind": "script"}, [plotly_js.script()])
