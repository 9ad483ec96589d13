"""A plotly chart that cannot lose points: the kernel keeps its curves, a page asks for what it lacks.

One plotly.js serves the whole page; neither the notebook nor a widget holds it. Knows no run.
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
from qtha_lab.figures.curves import decimate
from qtha_lab.figures.machinery import static_svg as still

from . import plotly_js
from .plotly_js import MODEBAR

MOST_POINTS = 2000  # of one curve in one message; a longer stretch is thinned
MOST_POINTS_OF_ALL = 20_000  # in one message; the page asks for the rest


class Points:
    """The points of one curve, in rising x; their number is the sequence number of the last."""

    def __init__(self, x: Iterable[float] | None = None, y: Iterable[float] | None = None):
        self.x = array("d", () if x is None else x)
        self.y = array("d", () if y is None else y)

    def __len__(self) -> int:
        return len(self.x)

    def cut(self, after: float) -> bool:
        """Forget the points beyond an x; whether there were any."""
        end = bisect_right(self.x, after)
        beyond = end < len(self.x)
        del self.x[end:], self.y[end:]
        return beyond

    def append(self, x: float, y: float) -> bool:
        """Add a point; whether it took the place of others, as one that is not beyond the last does."""
        replaced = bool(self.x) and x <= self.x[-1] and self.cut(x)
        if self.x and self.x[-1] == x:
            self.y[-1] = y
            return True
        self.x.append(x)
        self.y.append(y)
        return replaced

    def since(self, start: int) -> tuple[int, bytes]:
        """How many points show all from a number on, and their x and y as float64."""
        x, y = decimate(self.x[start:], self.y[start:], MOST_POINTS)
        return len(x), x.astype("<f8").tobytes() + y.astype("<f8").tobytes()


class Chart(anywidget.AnyWidget):
    """A plotly figure of lines; they grow by `extend`, of which only what is new is sent.

    A page tells how many points of each curve it has, whenever it opens or misses some, and is sent
    the rest. `version` tells whether counts of points can be compared at all: it changes when points
    are taken back.

    Args:
        figure: What to draw, with the points that it has already.
        alt: The finding in words: the caption, and what a screen reader says.
        narrow: Changes of the layout for where the page has little room.
    """

    _esm = plotly_js.module("chart_keys.js", "chart.js")
    figure = traitlets.Dict().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    still = traitlets.Unicode().tag(sync=True)

    def __init__(self, figure: go.Figure, alt: str = "", narrow: dict[str, Any] | None = None):
        self.lock, self.version, self.live = threading.RLock(), 0, False
        self.curves: list[Points] = []
        super().__init__()
        self.on_msg(self._answer)
        self.show(figure, alt, narrow)

    def show(self, figure: go.Figure, alt: str = "", narrow: dict[str, Any] | None = None) -> None:
        """Draw another figure in the same place; its curves are numbered from 0, and the zoom is reset.

        Args:
            figure: What to draw, with the points that it has already.
            alt: The finding in words: the caption, and what a screen reader says.
            narrow: Changes of the layout for where the page has little room.
        """
        plain = parse_json(figure.to_json() or "{}")
        data = [{k: v for k, v in trace.items() if k not in ("x", "y")} for trace in plain["data"]]
        layout = {"hovermode": "closest", "modebar": MODEBAR, **plain["layout"]}
        with self.lock:
            self.curves = [
                Points(trace.x, trace.y) for trace in cast(tuple[go.Scatter, ...], figure.data)
            ]
            layout["uirevision"] = self.version + 1  # zoom is kept until there is another figure
            self.alt, self.still = alt, ""
            self._renew(
                {"id": self.model_id, "data": data, "layout": layout, "narrow": narrow or {}}
            )

    def extend(self, news: Mapping[int, Sequence[tuple[float, float]]]) -> None:
        """Add points to curves, by their number in the figure; earlier x take back what came after."""
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
        """Take back the points of curves beyond an x."""
        with self.lock:
            beyond = [self.curves[curve].cut(after) for curve in curves]
            if any(beyond):
                self._renew(self.figure)

    def expect(self, more: bool) -> None:
        """Say whether more points are to come: until then, pages ask from time to time."""
        with self.lock:
            self.live = more
            self._send_points({})

    def draw_still(self) -> str:
        """The chart as an SVG, for where no page's script runs; kept in the widget's state."""
        with self.lock:
            curves = [decimate(curve.x, curve.y, 200) for curve in self.curves]
            points = [{"x": x.tolist(), "y": y.tolist()} for x, y in curves]
            data = [t | p for t, p in zip(self.figure["data"], points, strict=True)]
            self.still = still.svg({"data": data, "layout": self.figure["layout"]}, self.alt)
        return self.still

    def _renew(self, figure: dict[str, Any]) -> None:
        """Make every page begin again with all points."""
        self.version += 1
        self.figure = {**figure, "version": self.version}
        self._send_points(dict.fromkeys(range(len(self.curves)), 0))

    def _send_points(self, starts: Mapping[int, int], **more: Any) -> None:
        """Send the points of curves from these numbers on, as many as one message takes."""
        parts, data, room = [], [], MOST_POINTS_OF_ALL
        for curve, start in starts.items():
            end = len(self.curves[curve])
            if start < end and room > 0:
                count, buffer = self.curves[curve].since(start)
                parts.append([curve, start, end, count])
                data.append(buffer)
                room -= count
        message = {"version": self.version, "counts": [*map(len, self.curves)], "live": self.live}
        self.send({"kind": "points", "parts": parts, **message, **more}, [b"".join(data)])

    def _answer(self, _, question: dict[str, Any], buffers: list) -> None:
        """A page asks: for plotly.js, or for the points it has not."""
        if question["kind"] == "script":
            return self.send({"kind": "script"}, [plotly_js.script()])
        with self.lock:
            more = {"page": question["page"], "alt": self.alt}
            starts = dict(enumerate(question["counts"]))
            if question["version"] != self.version:
                starts = dict.fromkeys(range(len(self.curves)), 0)
                more["figure"] = self.figure
            self._send_points(starts, **more)
