"""The figure widget: a plotly figure for any box of ipywidgets, lengthened by new points.

plotly's own `FigureWidget` stores plotly.js (4 MB) in the state of each figure, and has no
alternative text and no static output. Here a page requests plotly.js once, for all its figures.
"""

import functools
import gzip
import importlib.resources
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from qtha_lab.core.io import read, read_bytes
from qtha_lab.figures.machinery.export import TOOLBAR
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.machinery.page_style import PageStyle

from ..kit.static_output import StaticOutput

MODEBAR = {
    "bgcolor": "rgba(0,0,0,0)",
    "remove": ["lasso", "select", "zoomin", "zoomout", "autoscale"],
}


@functools.cache
def script() -> bytes:
    """Return plotly.js of the installed plotly package, compressed with gzip."""
    file = importlib.resources.files("plotly") / "package_data" / "plotly.min.js"
    return gzip.compress(read_bytes(Path(str(file)), 2**26), compresslevel=6, mtime=0)


PAGE = PageStyle("page")
FOLDER = Path(__file__).parent
CSS = read(FOLDER.parent / "kit" / "style_sheet.css")


class FigureWidget(StaticOutput, anywidget.AnyWidget):
    """A widget that shows one figure at a time; `widget.show(figure)` replaces it.

    Only new points are sent if the new figure has the same lines, with more points.

    Args:
        figure: The first figure.

    Example:
        >>> from qtha_lab.figures import seed_spread
        >>> widget = FigureWidget(seed_spread({"lora": [4.0, 4.2]}))
        >>> widget.alt
        'Evaluation loss of every seed: lora 4 to 4.2, mean 4.1 (2 seeds).'
    """

    _esm = read(FOLDER / "figure_widget.js")
    _css = CSS
    drawing = traitlets.Dict().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    brush = traitlets.Dict().tag(sync=True)
    """The last selection: `boxes` (x from, x to, y from, y to) and `ids` of the points inside."""
    ranges = traitlets.Dict().tag(sync=True)
    """The ranges along x that a user has zoomed into, by axis; empty if all is shown."""

    alone = traitlets.Bool(False).tag(sync=True)
    """True if a user wants the figure large (key f); a page around decides the meaning."""

    def __init__(self, figure: Figure):
        self.figure = figure
        super().__init__(drawing=drawing_of(figure), alt=figure.alt)
        self.on_msg(self._answer)

    def show(self, figure: Figure, drawing: dict[str, Any] | None = None) -> None:
        """Show another figure.

        Args:
            figure: The figure.
            drawing: Its `drawing_of`, if a thread has computed it.
        """
        now = drawing or drawing_of(figure)
        news = _new_points(self.drawing, now)
        self.figure = figure
        with self.hold_sync():
            self.alt = figure.alt
            if news is None:
                self.drawing = now
        if news:
            self._append(news)

    def append(self, points: Mapping[int, Sequence[tuple[float, float]]], alt: str) -> None:
        """Add points to the lines of these numbers, and send them alone."""
        news = [
            [number, len(self.traces[number]["x"]), *map(list, zip(*new, strict=True))]
            for number, new in points.items()
        ]
        self.alt = alt
        if news:
            self._append(news)

    def bring(self) -> None:
        """Scroll the page around the figure into view."""
        self.send({"kind": "bring"})

    def still(self) -> dict[str, str]:
        return {"image/svg+xml": self.figure.svg(), "text/plain": self.figure.alt}

    @property
    def traces(self) -> list[dict[str, Any]]:
        """The traces as the page holds them."""
        return self.drawing["data"]

    def _append(self, news: list[list[Any]]) -> None:
        """Add points to the stored traces and send them alone."""
        for number, _, x, y in news:
            self.traces[number]["x"] += x
            self.traces[number]["y"] += y
        self.send({"kind": "append", "parts": news})

    def _answer(self, _: Any, question: dict[str, Any], _buffers: list) -> None:
        if question["kind"] == "script":
            self.send({"kind": "script"}, [script()])
        elif question["kind"] == "whole":
            self.send_state("drawing")


def drawing_of(figure: Figure) -> dict[str, Any]:
    """Return a figure as plain data for the page; a thread may call it."""
    drawing = figure.drawing(PAGE)
    layout = {name: value for name, value in drawing["layout"].items() if name != "meta"}
    layout |= {"modebar": MODEBAR, "uirevision": figure.name}
    return {"data": drawing["data"], "layout": layout, "config": TOOLBAR}


def _new_points(before: dict[str, Any], now: dict[str, Any]) -> list[list[Any]] | None:
    """Return number, start, x and y of each lengthened trace; None if anything else differs."""
    pairs = list(zip(before["data"], now["data"], strict=False))
    if before["layout"] != now["layout"] or len(before["data"]) != len(now["data"]):
        return None
    news = []
    for number, (old, new) in enumerate(pairs):
        if _without_points(old) != _without_points(new):
            return None
        start = len(old.get("x", []))
        if any(list(new.get(axis, []))[:start] != list(old.get(axis, [])) for axis in "xy"):
            return None
        if start < len(new.get("x", [])):
            news.append([number, start, list(new["x"])[start:], list(new["y"])[start:]])
    return news


def _without_points(trace: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in trace.items() if name not in ("x", "y")}
