"""A figure of lines that grow: of a figure drawn anew, the page is sent only the points that it has not.

`chart` keeps the points and answers pages; knows no run.
"""

import json
from typing import Any

from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.machinery.parts import plain

from .chart import Chart
from .figure_view import PAGE


class CurvesView(Chart):
    """Put it on a page, then `view.draw(figure)` whenever there are more points; the zoom stays."""

    def __init__(self, figure: Figure):
        self.source, self.styles = figure, ""
        super().__init__(figure.at(PAGE), figure.alt)
        self.add_class("qtha-plot")

    def draw(self, figure: Figure) -> None:
        """Show a figure: what is new where it has the same lines as before, else all of it."""
        drawing, styles = figure.at(PAGE), _styles(figure)
        traces = plain(drawing)["data"]
        self.source = figure
        if styles != self.styles:
            self.styles = styles
            return self.show(drawing, figure.alt)
        news = {}
        for number, trace in enumerate(traces):
            points = list(zip(trace["x"], trace["y"], strict=True))
            start = self._same(number, points)
            if start < len(self.curves[number]):
                self.cut([number], points[start - 1][0] if start else -float("inf"))
            news[number] = points[start:]
        self.extend(news)
        self.alt = figure.alt

    def _same(self, number: int, points: list[tuple[float, float]]) -> int:
        """How many points of a line the page has already as they are."""
        curve = self.curves[number]
        for place, (x, y, point) in enumerate(zip(curve.x, curve.y, points, strict=False)):
            if (x, y) != point:
                return place
        return min(len(curve), len(points))


def _styles(figure: Figure) -> str:
    """All of a drawing but its points and what follows from them."""
    drawing = plain(figure.at(PAGE))
    traces = [{k: v for k, v in t.items() if k not in ("x", "y")} for t in drawing["data"]]
    layout: dict[str, Any] = {k: v for k, v in drawing["layout"].items() if k != "meta"}
    return json.dumps([traces, layout], sort_keys=True, default=str)
