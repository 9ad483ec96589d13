"""A plotly chart without lost points: the kernel stores curves, pages request points.

One plotly.js serves the whole page; neither the notebook nor a widget stores it. This module does
not depend on runs.
"""

import threading
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import anywidget
import plotly.graph_objects as go
import traitlets

from qtha_lab.core.io import parse_json
from qtha_lab.figures.loss_curves import decimate
from qtha_lab.figures.machinery import static_svg

from ..kit.page_module import PageModule
from . import plotly_js
from .plotly_js import MODEBAR

MOST_POINTS = 2000  # of one curve per message; more points are thinned
MOST_POINTS_OF_ALL = 20_000  # per message; the page requests the rest


class Curve:
    """The points of one curve in rising x; the count numbers the last one."""

    def __init__(self, x: Iterable[float] | None = None, y: Iterable[float] | None = None):
        self.x = array("d", () if x is None else x)
        self.y = array("d", () if y is None else y)

    def __len__(self) -> int:
        return len(self.x)

    def cut(self, after: float) -> bool:
        """Drop the points beyond an x; return True if there were any."""
        end = bisect_right(self.x, after)
        beyond = end < len(self.x)
        del self.x[end:], self.y[end:]
        return beyond

    def append(self, x: float, y: float) -> bool:
        """Add a point; return True if it replaced points.

        A point replaces all points whose x is not below its own.
        """
        replaced = bool(self.x) and x <= self.x[-1] and self.cut(x)
        if self.x and self.x[-1] == x:
            self.y[-1] = y
            return True
        self.x.append(x)
        self.y.append(y)
        return replaced

    def since(self, start: int) -> tuple[int, bytes]:
        """Return the thinned points from a number on: count, x and y as float64."""
        x, y = decimate(self.x[start:], self.y[start:], MOST_POINTS)
        return len(x), x.astype("<f8").tobytes() + y.astype("<f8").tobytes()


class Chart(PageModule, anywidget.AnyWidget):
    """A plotly figure of lines that grow by `extend`, which sends only new points.

    A page that opens or misses points reports its number of points per curve. The kernel then sends
    the rest. Point counts are comparable only under the same `version`, which changes when points
    are removed.

    Args:
        figure: The figure to draw, with its present points.
        alt: The finding in words: the caption, and the text for a screen reader.
        narrow: Changes of the layout for narrow pages.
    """

    MODULE = ("plotly.js", "chart_keys.js", "chart.js")
    BEFORE = plotly_js.BEFORE
    figure = traitlets.Dict().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    still = traitlets.Unicode().tag(sync=True)
    visible = traitlets.Bool(True).tag(sync=True)

    def __init__(self, figure: go.Figure, alt: str = "", narrow: dict[str, Any] | None = None):
        self.lock, self.version, self.live = threading.RLock(), 0, False
        self.curves: list[Curve] = []
        super().__init__()
        self.on_msg(self._answer)
        self.show(figure, alt, narrow)

    def show(self, figure: go.Figure, alt: str = "", narrow: dict[str, Any] | None = None) -> None:
        """Draw another figure in place; curves count from 0, and the zoom is reset.

        Args:
            figure: The figure to draw, with its present points.
            alt: The finding in words: the caption, and the text for a screen reader.
            narrow: Changes of the layout for narrow pages.
        """
        plain = parse_json(figure.to_json() or "{}")
        data = [{k: v for k, v in trace.items() if k not in ("x", "y")} for trace in plain["data"]]
        layout = {"hovermode": "closest", "modebar": MODEBAR, **plain["layout"]}
        with self.lock:
            self.curves = [
                Curve(trace.x, trace.y) for trace in cast(tuple[go.Scatter, ...], figure.data)
            ]
            layout["uirevision"] = self.version + 1  # the zoom stays until the figure changes
            self.alt, self.still = alt, ""
            self._renew(
                {"id": self.model_id, "data": data, "layout": layout, "narrow": narrow or {}}
            )

    def extend(self, news: Mapping[int, Sequence[tuple[float, float]]]) -> None:
        """Add points to curves, by curve number; an earlier x removes the points after it."""
        with self.lock:
            starts = {curve: len(self.curves[curve]) for curve in news if news[curve]}
            replaced = [
                self.curves[curve].append(*point) for curve in news for point in news[curve]
            ]
            if any(replaced):
                self._renew(self.figure)
            elif starts:
                self._send_points(starts)

    def cut(self, curves: Iterable[int], after: float) -> None:
        """Remove the points of curves beyond an x."""
        with self.lock:
            beyond = [self.curves[curve].cut(after) for curve in curves]
            if any(beyond):
                self._renew(self.figure)

    def expect(self, more: bool) -> None:
        """Set if more points will follow, for which pages then poll."""
        with self.lock:
            self.live = more
            self._send_points({})

    def draw_still(self) -> str:
        """Draw the chart as an SVG for pages without scripts; the widget's state stores it."""
        with self.lock:
            curves = [decimate(curve.x, curve.y, 200) for curve in self.curves]
            points = [{"x": x.tolist(), "y": y.tolist()} for x, y in curves]
            data = [t | p for t, p in zip(self.figure["data"], points, strict=True)]
            self.still = static_svg.svg({"data": data, "layout": self.figure["layout"]}, self.alt)
        return self.still

    def _renew(self, figure: dict[str, Any]) -> None:
        """Make every page load all points again."""
        self.version += 1
        self.figure = {**figure, "version": self.version}
        self._send_points(dict.fromkeys(range(len(self.curves)), 0))

    def _send_points(self, starts: Mapping[int, int], **more: Any) -> None:
        """Send the points of curves from these numbers on, limited per message."""
        parts, data, points_left = [], [], MOST_POINTS_OF_ALL
        for curve, start in starts.items():
            end = len(self.curves[curve])
            if start < end and points_left > 0:
                count, buffer = self.curves[curve].since(start)
                parts.append([curve, start, end, count])
                data.append(buffer)
                points_left -= count
        message = {"version": self.version, "counts": [*map(len, self.curves)], "live": self.live}
        self.send({"kind": "points", "parts": parts, **message, **more}, [b"".join(data)])

    def _answer(self, _, question: dict[str, Any], buffers: list) -> None:
        """Send plotly.js or missing points to a page that requests them."""
        if question["kind"] == "script":
            return self.send({"kind": "script"}, [plotly_js.script()])
        if question["kind"] != "points":
            return None
        with self.lock:
            more = {"page": question["page"], "alt": self.alt}
            starts = dict(enumerate(question["counts"]))
            if question["version"] != self.version:
                starts = dict.fromkeys(range(len(self.curves)), 0)
                more["figure"] = self.figure
            self._send_points(starts, **more)
