"""Loss curves of runs during training, as a box of ipywidgets."""

from collections.abc import Iterable
from typing import Any, Self

import ipywidgets as ipw
import traitlets

from ..figures.figure_widget import FigureWidget, drawing_of
from ..kit import boxes
from ..kit.loop import Background
from ..kit.static_output import StaticOutput
from .curves import MOST_POINTS
from .live_figure import live_curves, narrow_layout
from .live_model import LivePlotModel
from .variants import variants


class LivePlot(LivePlotModel, StaticOutput, ipw.VBox):
    """Training and evaluation loss of several runs in one figure, for any box of ipywidgets.

    In a kernel the plot follows its runs by itself; elsewhere `await plot.follow()`. The train loss
    is a running mean, with the recorded values faint behind it.

    Args:
        runs: Runs to draw.
        following: False if another object reads the runs by `plot.tick()`.
        options: `along`, `log_x`, `log_y`; see `LivePlotModel`.
    """

    colors = traitlets.Dict()
    """Symbol and colour of the line of each run id."""

    def __init__(self, runs: Iterable = (), following: bool = True, **options: Any):
        self.error = boxes.ErrorText()
        self.background, self.following = Background(self.error.report), following
        self.picture: FigureWidget | None = None
        super().__init__(runs, **options)
        self.picture = FigureWidget(live_curves(self.lines(), self.axes))
        self.picture.observe(lambda _: self._draw(), "ranges")
        self.children = (self.picture, self.error.panel)
        boxes.classed(self, "qtha-page", "qtha-live")
        self.observe(lambda _: self._draw(), "revision")
        self._draw()
        self._start()

    @property
    def panel(self) -> Self:
        """The plot itself."""
        return self

    def show(self, runs: Iterable) -> None:
        """Draw other runs, from their first event, at full range."""
        if self.picture:
            self.picture.ranges = {}
        super().show(runs)
        known = variants(run.experiment.method.label for run in self.runs)
        of_runs = {run.id: known[run.experiment.method.label] for run in self.runs}
        self.colors = {name: [of.glyph, of.style["color"]] for name, of in of_runs.items()}
        if self.picture:
            self._start()

    def grown(self, points: dict[int, list[tuple[float, float]]]) -> None:
        """Append points to the page, and thin the lines again if they are long."""
        if self.picture is None:
            return
        held = (len(trace["x"]) for trace in self.picture.traces)
        if max(held) + sum(map(len, points.values())) > 2 * MOST_POINTS:
            return self._draw()
        self.picture.append(points, self.words)

    def _draw(self) -> None:
        """Replace the drawing; new points alone are appended by `grown`."""
        if self.picture is None:
            return
        ranges = self.picture.ranges
        figure = live_curves(self.lines(next(iter(ranges.values()), ())), self.axes)
        drawing = drawing_of(figure) | {"narrow": narrow_layout(self.axes)}
        runs = " ".join(run.id for run in self.runs)
        drawing["layout"]["uirevision"] = f"{runs} {self.axes}"
        self.picture.show(figure, drawing)

    def _start(self) -> None:
        if self.following and self.runs:
            self.background.start("follow", self.follow)

    def rest(self) -> None:
        """Renew the static picture after the last event."""
        self.show_still()

    async def follow(self) -> None:
        """Draw at most twice a second until all runs end; show errors below."""
        try:
            await super().follow()
        except Exception as error:
            self.error.report(error)
            raise

    def still(self) -> dict[str, str]:
        """Return the present curves as SVG, and their finding in words."""
        figure = live_curves(self.lines(), self.axes)
        return {"image/svg+xml": figure.svg(), "text/plain": figure.alt}

    def _ipython_display_(self) -> None:
        self.catch_up()
        super()._ipython_display_()
