"""Loss curves of runs during training: a chart of the events in their directories.

Reads and draws; starts and stops nothing. `qtha_lab.figures.curves.loss_curves` is the static
figure.
"""

from collections import defaultdict
from collections.abc import Iterable
from itertools import product
from typing import Self, cast

import plotly.graph_objects as go
from IPython.display import display

from qtha_lab.figures import curves
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.machinery.legends import short_names
from qtha_lab.figures.machinery.theme import distinct_styles
from qtha_lab.core.method_styles import shown

from ..figures.chart import Chart, Points
from .follower import Follower
from ..kit.guard import ErrorLine
from ..kit.display import Shown

KINDS = tuple(curves.PANELS)
FEW = 4  # maximum number of methods with full names in the legend
NONE = Points()


class LivePlot(Follower, Shown):
    """Training and evaluation loss of several runs in one chart; follow by `await plot.follow()`.

    A run is any object with `id`, `experiment`, `status()` and `events(offset)`.
    """

    def __init__(self, runs: Iterable = ()):
        self.chart, self.error, self.handle = Chart(curves.empty_curves("page")), ErrorLine(), None
        super().__init__([self.chart, self.error.panel])
        self.add_class("qtha-plot")
        self.show(runs)

    @property
    def panel(self) -> Self:
        """The plot itself."""
        return self

    @property
    def runs(self) -> list:
        """The runs drawn."""
        return self.live_runs

    def show(self, runs: Iterable) -> None:
        """Draw other runs, from their first event."""
        self.follow_runs(runs)
        self.numbers = {(r.id, k): n for n, (r, k) in enumerate(product(self.runs, KINDS))}
        figure = curves.empty_curves("page")
        styles = distinct_styles(run.experiment.method.label for run in self.runs)
        figure.add_traces([
            curves.curve(_series(run, kind), style=styles[run.experiment.method.label])
            for run, kind in product(self.runs, KINDS)
        ])  # fmt: skip
        curves.name_once(cast(tuple[go.Scatter, ...], figure.data))
        if len(styles) > FEW:  # many long names would leave no space for the curves
            names = {label: shown(short) for label, short in short_names(styles).items()}
            figure.for_each_trace(lambda trace: trace.update(name=names[trace.legendgroup]))
        self.chart.show(figure, curves.describe(()), curves.stacked())

    def series(self) -> list[curves.Series]:
        """Return the present curves in the format of the figure functions."""
        return [
            _series(run, kind, self.chart.curves[self.numbers[run.id, kind]])
            for run, kind in product(self.runs, KINDS)
        ]

    @property
    def figures(self) -> dict[str, Figure]:
        """The present curves as a figure by name; empty before the first point."""
        with self.chart.lock:  # the curves grow concurrently
            series = [
                curves.Series(
                    label=line["label"],
                    seed=line["seed"],
                    kind=line["kind"],
                    steps=list(line["steps"]),
                    values=list(line["values"]),
                )
                for line in self.series()
                if len(line["steps"])
            ]
        return {"loss_curves": curves.loss_curves(series)} if series else {}

    def feed(self, news: dict[str, list[dict]]) -> None:
        """Append new events of each run id; only new points are sent to the page."""
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
        """Remove the points after the checkpoint from which a run resumes.

        The run repeats the later steps (see `qtha_lab.experiment.run_directory.events.history`).
        """
        self.chart.cut([self.numbers[run_id, kind] for kind in KINDS], step)

    def rest(self) -> None:
        """Finish: store the static picture, and stop the polling of pages."""
        self.chart.expect(False)
        if self.handle is not None:
            self.handle.update(self._repr_mimebundle_(), raw=True)

    async def follow(self) -> None:
        """Draw at most twice a second until all runs end; show errors below."""
        self.chart.expect(True)
        try:
            await super().follow()
        except Exception as error:
            self.error.report(error)
            raise

    def still(self) -> dict[str, str]:
        """Return the present curves as SVG, and their finding in words."""
        return {"image/svg+xml": self.chart.draw_still(), "text/plain": self.chart.alt}

    def _ipython_display_(self) -> None:
        self.catch_up()
        self.handle = display(self._repr_mimebundle_(), raw=True, display_id=True)


def _series(run, kind: curves.Kind, points: Points = NONE) -> curves.Series:
    method, seed = run.experiment.method, run.experiment.seed
    return {
        "label": method.label,
        "seed": seed,
        "kind": kind,
        "steps": points.x,
        "values": points.y,
    }
