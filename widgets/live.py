"""Curves of runs while they train: a plotly widget fed by the events of their directories.

Reads and draws; starts and stops nothing. `qtha_lab.figures.curves.loss_curves` is the still picture.
"""

import asyncio
from collections.abc import Iterable

import plotly.graph_objects as go

from qtha_lab.figures import curves
from widgets import look

TICK_SECONDS = 0.5
REMEMBER_TICKS = 10
KINDS = tuple(curves.PANELS)
MODEBAR = {
    "bgcolor": "rgba(0,0,0,0)",
    "remove": ["lasso", "select", "zoomin", "zoomout", "autoscale"],
}


class Track:
    """The losses of one run so far; a resumed run loses the steps it does again."""

    def __init__(self, label: str, seed: int):
        self.label, self.seed = label, seed
        self.points: dict[str, dict[int, float]] = {kind: {} for kind in KINDS}

    def add(self, events: Iterable[dict]) -> set[str]:
        """Take in new events; tell which curves they changed."""
        changed = set()
        for event in events:
            if event["kind"] == "status" and event.get("state") == "running":
                changed |= self._go_back(event.get("step", 0))
            elif event["kind"] in KINDS and event.get("loss") is not None:
                self.points[event["kind"]][event["step"]] = event["loss"]
                changed.add(event["kind"])
        return changed

    def _go_back(self, step: int) -> set[str]:
        """A run that goes on from a checkpoint does the later steps again (as `qtha_lab.rundir.events.history`)."""
        changed = {kind for kind, points in self.points.items() if max(points, default=0) > step}
        for kind in changed:
            self.points[kind] = {s: v for s, v in self.points[kind].items() if s <= step}
        return changed

    def series(self, kind: str) -> curves.Series:
        """One curve, as the figure functions take it."""
        steps = sorted(self.points[kind])
        values = [self.points[kind][step] for step in steps]
        return {
            "label": self.label,
            "seed": self.seed,
            "kind": kind,
            "steps": steps,
            "values": values,
        }


class LivePlot:
    """Train and evaluation loss of several runs in one widget; show `plot.panel`, await `plot.follow()`.

    A run is anything with `id`, `experiment` and `events(offset)`; each is read from where the last read ended.
    """

    def __init__(self, runs: Iterable = ()):
        self.figure = go.FigureWidget(curves.empty_curves("page"))
        self.figure.layout.update(hovermode="closest", autosize=True, modebar=MODEBAR)
        self.caption = look.text("", "qtha-said")
        self.panel = look.column(self.figure, self.caption)
        self.panel.add_class("qtha-plot")
        self.show(runs)

    def show(self, runs: Iterable) -> None:
        """Draw these runs instead, from their beginning."""
        self.runs, self.ticks = list(runs), 0
        self.offsets = {run.id: 0 for run in self.runs}
        self.tracks = {
            run.id: Track(run.experiment.method.label, run.experiment.seed) for run in self.runs
        }
        empty = [curves.curve(t.series(kind)) for t in self.tracks.values() for kind in KINDS]
        curves.name_once(empty)
        with self.figure.batch_update():
            self.figure.data = ()
            self.figure.add_traces(empty)
        self.traces = dict(
            zip(((i, kind) for i in self.tracks for kind in KINDS), self.figure.data, strict=True)
        )
        self.remember()

    def remember(self) -> None:
        """Put what is drawn into the widget's state, from which a reloaded page draws it again.

        plotly sends changes to the page only; its display hook is what renews the state.
        """
        self.figure._repr_mimebundle_()

    def feed(self, news: dict[str, list[dict]]) -> None:
        """Append new events of each run id; only the curves they belong to are sent to the page."""
        changed = [(i, kind) for i, events in news.items() for kind in self.tracks[i].add(events)]
        if not changed:
            return
        with self.figure.batch_update():
            for run_id, kind in changed:
                one = self.tracks[run_id].series(kind)
                self.traces[run_id, kind].update(curves.points(one))
        self.caption.value = self.alt()

    def alt(self) -> str:
        """The finding so far, in words."""
        return curves.describe(track.series("eval") for track in self.tracks.values())

    async def tick(self) -> None:
        """Read what is new of every run, off the loop, and draw it."""
        runs, news = self.runs, {}
        for run in runs:
            news[run.id] = await asyncio.to_thread(run.events, self.offsets[run.id])
        if runs is self.runs:
            self.offsets = {run_id: offset for run_id, (_, offset) in news.items()}
            self.feed({run_id: events for run_id, (events, _) in news.items()})
            self.ticks += 1
            if self.ticks % REMEMBER_TICKS == 1:
                self.remember()

    async def follow(self) -> None:
        """Draw at most twice a second, until every run has ended (see `Run.status`)."""
        while True:
            statuses = [await asyncio.to_thread(run.status) for run in self.runs]
            await self.tick()
            if all(status.ended for status in statuses):
                return self.remember()
            await asyncio.sleep(TICK_SECONDS)
