"""Curves of runs while they train: a chart fed by the events of their directories.

Reads and draws; starts and stops nothing. `qtha_lab.figures.curves.loss_curves` is the still picture.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from itertools import product
from typing import cast

import ipywidgets as ipw
import plotly.graph_objects as go
from IPython.display import display

from qtha_lab.figures import curves

from .chart import Chart, Points
from .guard import ErrorLine

TICK_SECONDS = 0.5
KINDS = tuple(curves.PANELS)
NONE = Points()


class LivePlot:
    """Train and evaluation loss of several runs in one chart; show `plot.panel`, await `plot.follow()`.

    A run is anything with `id`, `experiment` and `events(offset)`; each is read from where the last read ended.
    """

    def __init__(self, runs: Iterable = ()):
        self.chart, self.error = Chart(curves.empty_curves("page")), ErrorLine()
        self.panel = Panel(self)
        self.show(runs)

    def show(self, runs: Iterable) -> None:
        """Draw these runs instead, from their beginning."""
        self.runs = list(runs)
        self.offsets = {run.id: 0 for run in self.runs}
        self.numbers = {(r.id, k): n for n, (r, k) in enumerate(product(self.runs, KINDS))}
        figure = curves.empty_curves("page")
        figure.add_traces(
            [curves.curve(_series(run, kind)) for run, kind in product(self.runs, KINDS)]
        )
        curves.name_once(cast(tuple[go.Scatter, ...], figure.data))
        self.chart.show(figure, curves.describe(()), curves.stacked())

    def series(self) -> list[curves.Series]:
        """The curves so far, as the figure functions take them."""
        return [
            _series(run, kind, self.chart.curves[self.numbers[run.id, kind]])
            for run, kind in product(self.runs, KINDS)
        ]

    def feed(self, news: dict[str, list[dict]]) -> None:
        """Append new events of each run id; only what is new is sent to the page."""
        points = defaultdict(list)
        for run_id, event in ((i, event) for i, events in news.items() for event in events):
            if event["kind"] in KINDS and event.get("loss") is not None:
                number = self.numbers[run_id, event["kind"]]
                points[number].append((event["step"], event["loss"]))
            elif event["kind"] == "status" and event.get("state") == "running":
                self.chart.extend(points)
                points.clear()
                self._go_back(run_id, event.get("step", 0))
        self.chart.extend(points)
        self.chart.alt = curves.describe(self.series())

    def _go_back(self, run_id: str, step: int) -> None:
        """A run that goes on from a checkpoint does the later steps again (as `qtha_lab.rundir.events.history`)."""
        self.chart.cut([self.numbers[run_id, kind] for kind in KINDS], step)

    async def tick(self) -> None:
        """Read what is new of every run, off the loop, and draw it."""
        runs, offsets = self.runs, self.offsets
        news = {run.id: await asyncio.to_thread(run.events, offsets[run.id]) for run in runs}
        if runs is self.runs:
            self._take(news)

    def catch_up(self) -> None:
        """Read what is new of every run now."""
        self._take({run.id: run.events(self.offsets[run.id]) for run in self.runs})

    def _take(self, news: dict[str, tuple[list[dict], int]]) -> None:
        self.offsets = {run_id: offset for run_id, (_, offset) in news.items()}
        self.feed({run_id: events for run_id, (events, _) in news.items()})

    def rest(self) -> None:
        """Nothing more is to come: leave the still picture, and let pages ask no more."""
        self.chart.expect(False)
        self.panel.renew()

    async def follow(self) -> None:
        """Draw at most twice a second, until every run has ended (see `Run.status`).

        What goes wrong stands under the chart too, and is raised.
        """
        self.chart.expect(True)
        try:
            while True:
                statuses = [await asyncio.to_thread(run.status) for run in self.runs]
                await self.tick()
                if all(status.ended for status in statuses):
                    return
                await asyncio.sleep(TICK_SECONDS)
        except Exception as error:
            self.error.report(error)
            raise
        finally:
            self.rest()


class Panel(ipw.VBox):
    """The chart on a page; elsewhere (GitHub, nbconvert) its still picture, or at least its words."""

    def __init__(self, plot: LivePlot):
        self.plot, self.handle = plot, None
        super().__init__([plot.chart, plot.error.panel])
        self.add_class("qtha-plot")

    def _repr_mimebundle_(self, **kwargs):
        still = {"image/svg+xml": self.plot.chart.draw_still(), "text/plain": self.plot.chart.alt}
        return {**(super()._repr_mimebundle_(**kwargs) or {}), **still}

    def _ipython_display_(self):
        self.plot.catch_up()
        self.handle = display(self._repr_mimebundle_(), raw=True, display_id=True)

    def renew(self) -> None:
        """Put the curves as they are now into the notebook's output."""
        bundle = self._repr_mimebundle_()
        if self.handle is not None:
            self.handle.update(bundle, raw=True)


def _series(run, kind: curves.Kind, points: Points = NONE) -> curves.Series:
    method, seed = run.experiment.method, run.experiment.seed
    return {
        "label": method.label,
        "seed": seed,
        "kind": kind,
        "steps": points.x,
        "values": points.y,
    }
