"""A view of growing lines: of a redrawn figure, the page receives only new points.

`chart` stores the points and answers pages. This module does not depend on runs.
"""

import json
from typing import Any

from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.machinery.parts import plain_parts

from .chart import Chart
from .figure_view import PAGE


class CurvesView(Chart):
    """Chart of lines that keeps its zoom; call `view.draw(figure)` after new points."""

    def __init__(self, figure: Figure):
        self.source, self.styles = figure, ""
        super().__init__(figure.at(PAGE), figure.alt)
        self.add_class("qtha-plot")

    def draw(self, figure: Figure) -> None:
        """Show a figure: only new points if the lines match, else the whole figure."""
        drawing, styles = figure.at(PAGE), _styles(figure)
        traces = plain_parts(drawing)["data"]
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
        """Return the number of leading points of a line that the page already has."""
        curve = self.curves[number]
        for place, (x, y, point) in enumerate(zip(curve.x, curve.y, points, strict=False)):
            if (x, y) != point:
                return place
        return min(len(curve), len(points))


def _styles(figure: Figure) -> str:
    """Return everything in a drawing except its points and the data derived from them."""
    drawing = plain_parts(figure.at(PAGE))
    traces = [{k: v for k, v in t.items() if k not in ("x", "y")} for t in drawing["data"]]
    layout: dict[str, Any] = {k: v for k, v in drawing["layout"].items() if k != "meta"}
    return json.dumps([traces, layout], sort_keys=True, default=str)
