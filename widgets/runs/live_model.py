"""Model of the live plot: its runs, their new events, curves and figure.

Needs no browser. Reads run directories; starts and stops nothing.
"""

import asyncio
import threading
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import traitlets

from qtha_lab.figures.loss_curves import Series
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.machinery.table import Table

from .curves import KINDS, RunCurves
from .live_figure import TITLES, Axes, LiveLine, live_curves, live_words

TICK_SECONDS = 0.5


class Follower:
    """A mixin for panels that read events: `follow_runs(runs)`, `feed(news)`, `await follow()`.

    A run is any object with `id`, `events(offset)` and `status()`. Each read continues at the end
    of the last one. Two concurrent readers deliver no event twice.
    """

    live_runs: list[Any]
    offsets: dict[str, int]

    def follow_runs(self, runs: Iterable) -> None:
        """Follow these runs from now on, from their first event."""
        self.live_runs = list(runs)
        self.offsets = {run.id: 0 for run in self.live_runs}

    def feed(self, news: dict[str, list[dict]]) -> None:
        """Process new events, by run id."""
        raise NotImplementedError

    def look_at(self, statuses: dict[str, Any]) -> None:
        """Process the statuses of the runs, by run id."""

    def rest(self) -> None:
        """Finish; no more events are to come."""

    async def tick(self) -> None:
        """Read the new events of every run in a thread."""
        self._take(await asyncio.to_thread(self._read, self.live_runs, dict(self.offsets)))

    def catch_up(self) -> None:
        """Read the new events of every run now."""
        self._take(self._read(self.live_runs, dict(self.offsets)))

    async def follow(self) -> None:
        """Read the runs at most twice per second, until all have ended (see `Run.status`)."""
        try:
            while True:
                runs = self.live_runs
                statuses = {run.id: await asyncio.to_thread(run.status) for run in runs}
                await self.tick()
                self.look_at(statuses)
                if runs is self.live_runs and all(s.ended for s in statuses.values()):
                    return
                await asyncio.sleep(TICK_SECONDS)
        finally:
            self.rest()

    @staticmethod
    def _read(runs: list, offsets: dict[str, int]) -> dict[str, tuple[int, list[dict], int]]:
        return {run.id: (offsets[run.id], *run.events(offsets[run.id])) for run in runs}

    def _take(self, news: dict[str, tuple[int, list[dict], int]]) -> None:
        """Deliver the events read, except events that were delivered meanwhile."""
        fresh = {key: read for key, read in news.items() if self.offsets.get(key) == read[0]}
        self.offsets |= {key: end for key, (_, _, end) in fresh.items()}
        if any(events for _, events, _ in fresh.values()):
            self.feed({key: events for key, (_, events, _) in fresh.items()})


MOST_LINES = 12  # runs that are drawn without a choice of the user
COLUMNS = ("method", "seed", "kind", "step", "loss")


class LivePlotModel(Follower, traitlets.HasTraits):
    """The curves of runs; `show(runs)` selects runs and `tick` reads their new events.

    A run is any object with `id`, `experiment`, `status()` and `events(offset)`.

    Attributes:
        along: Horizontal axis: "step", "seconds" or "tokens".
        log_x: True for a logarithmic horizontal axis.
        log_y: True for a logarithmic loss axis.
        hidden: The ids of runs without a visible line; at first all beyond the first twelve.
        revision: Number of the figure, which rises with each change beyond new points.
    """

    along = traitlets.Enum(list(TITLES), "step")
    log_x, log_y = traitlets.Bool(False), traitlets.Bool(False)
    hidden = traitlets.Tuple()
    revision = traitlets.Int(0)

    def __init__(self, runs: Iterable = (), **options: Any):
        self.live_runs, self.offsets, self.lock = [], {}, threading.RLock()
        super().__init__(**options)
        self.show(runs)
        self.observe(lambda _: self._read_again(), "along")
        self.observe(lambda _: self._redraw(), ["log_x", "log_y", "hidden"])

    @property
    def runs(self) -> list:
        """The runs drawn."""
        return self.live_runs

    def show(self, runs: Iterable) -> None:
        """Draw other runs, from their first event; hidden runs that stay remain hidden."""
        before = {run.id for run in self.live_runs}
        runs = list(runs)
        news = [run.id for run in runs if run.id not in before]
        seen = [run.id for run in runs if run.id in before and run.id not in self.hidden]
        kept = [name for name in self.hidden if any(run.id == name for run in runs)]
        self._begin(runs)
        self.hidden = (*kept, *news[max(0, MOST_LINES - len(seen)) :])
        self._redraw()

    def _begin(self, runs: Iterable) -> None:
        with self.lock:
            self.follow_runs(runs)
            self.curves = {run.id: RunCurves(self.along) for run in self.runs}

    def _read_again(self) -> None:
        self._begin(self.runs)
        self.catch_up()
        self._redraw()

    def _redraw(self) -> None:
        self.revision += 1

    def feed(self, news: dict[str, list[dict]]) -> None:
        """Add new events of each run id, and report only the new points."""
        was_empty, points, removed = not self.has_points, {}, False
        with self.lock:
            for name, events in news.items():
                new, back = self.curves[name].feed(events)
                removed |= back
                points |= {self.number(name, kind): of for kind, of in new.items()}
        if removed or (was_empty and points):
            self._redraw()
        elif points:
            self.grown(points)

    def grown(self, points: dict[int, list[tuple[float, float]]]) -> None:
        """Process new points by line number; a view appends them."""

    def number(self, run_id: str, kind: str) -> int:
        """Return the number of a line in the figure."""
        place = [run.id for run in self.runs].index(run_id)
        return len(KINDS) * place + KINDS.index(kind)

    @property
    def has_points(self) -> bool:
        """True if a curve has a point."""
        return any(len(curve) for of in self.curves.values() for curve in of.curves.values())

    @property
    def axes(self) -> Axes:
        """Quantity, scales and planned end of the axes."""
        steps = [run.experiment.training.steps or 0 for run in self.runs]
        end = max(steps, default=0) if self.along == "step" else 0
        return Axes(self.along, self.log_x, self.log_y, end)

    def lines(self, within: Sequence[float] = ()) -> list[LiveLine]:
        """Return the thinned curves of every run, most points within a range of x."""
        with self.lock:
            return [
                self._line(run, kind, *self.curves[run.id].curves[kind].thinned(within))
                for run, kind in product(self.runs, KINDS)
            ]

    def _line(self, run: Any, kind: str, x: Sequence[float], y: Sequence[float]) -> LiveLine:
        method, seed = run.experiment.method, run.experiment.seed
        return LiveLine(method.label, seed, kind, x, y, run.id in self.hidden)

    @property
    def words(self) -> str:
        """The finding on the present curves in words."""
        evaluated = [(run, self.curves[run.id].curves["eval"]) for run in self.runs]
        return live_words([self._line(run, "eval", curve.x, curve.y) for run, curve in evaluated])

    def series(self) -> list[Series]:
        """Return the recorded curves in the format of the figure functions."""
        with self.lock:
            return [
                {
                    "label": run.experiment.method.label,
                    "seed": run.experiment.seed,
                    "kind": kind,
                    "steps": list(self.curves[run.id].curves[kind].x),
                    "values": list(self.curves[run.id].curves[kind].y),
                }
                for run in self.runs
                for kind in ("train", "eval")
            ]

    @property
    def figures(self) -> dict[str, Figure]:
        """The present figure by name, with every recorded loss; empty before the first point."""
        if not self.has_points:
            return {}
        rows = [
            (line["label"], line["seed"], line["kind"], step, value)
            for line in self.series()
            for step, value in zip(line["steps"], line["values"], strict=True)
        ]
        return {"loss_curves": live_curves(self.lines(), self.axes, Table(COLUMNS, rows))}
