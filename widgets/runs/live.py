"""Loss curves of runs during training: a chart of the events in their directories.

Reads and draws; starts and stops nothing. `qtha_lab.figures.loss_curves.loss_curves` is the static
figure.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any, Self, cast

import plotly.graph_objects as go

from qtha_lab.core.method_styles import shown
from qtha_lab.figures.loss_curves import (
    PANELS,
    Kind,
    Series,
    curve,
    curve_text,
    empty_curves,
    loss_curves,
    name_once,
    stacked,
)
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.machinery.legends import short_names
from qtha_lab.figures.machinery.theme import distinct_styles, faint

from ..figures.chart import Chart, Curve
from ..kit.display import Shown
from ..kit.guard import ErrorLine
from ..kit.loop import Background
from .follower import Follower

KINDS = tuple(PANELS)
NONE = Curve()
WEIGHT = 0.9  # of the running mean of the train loss
FAINT = 0.3  # opacity of the recorded train loss behind its running mean
MARGIN = {"l": 48, "r": 8, "t": 32, "b": 40}
LEFT, RIGHT = (0.0, 0.43), (0.57, 1.0)  # the two panels beside each other
AXES = {"step": "step", "seconds": "seconds of training", "tokens": "tokens"}


class RunningMean:
    """The running mean of a recorded loss, without bias at its beginning.

    Example:
        >>> mean = RunningMean()
        >>> mean.add(5.0), round(mean.add(3.0), 3)
        (5.0, 3.947)
    """

    def __init__(self) -> None:
        self.total = self.count = 0.0

    def add(self, value: float) -> float:
        """Add a value, and return the mean."""
        self.total = WEIGHT * self.total + (1 - WEIGHT) * value
        self.count = WEIGHT * self.count + (1 - WEIGHT)
        return self.total / self.count


class LivePlot(Follower, Shown):
    """Training and evaluation loss of several runs in one chart; follow by `await plot.follow()`.

    A displayed plot follows its runs by itself. The train loss is drawn as a running mean, with the
    recorded values faint behind it. A run is any object with `id`, `experiment`, `status()` and
    `events(offset)`.

    Args:
        runs: Runs to draw.
        along: Horizontal axis: "step", "seconds" or "tokens".
        log_x: True for a logarithmic horizontal axis.
        log_y: True for a logarithmic loss axis.
    """

    def __init__(
        self, runs: Iterable = (), along: str = "step", log_x: bool = False, log_y: bool = False
    ):
        self.along, self.log_x, self.log_y = along, log_x, log_y
        self.chart, self.error = Chart(empty_curves("page")), ErrorLine()
        self.background = Background(self.error.report)
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
        pairs = [*product(self.runs, KINDS), *((run, "mean") for run in self.runs)]
        self.numbers = {(run.id, kind): number for number, (run, kind) in enumerate(pairs)}
        self.means = {run.id: RunningMean() for run in self.runs}
        self.clocks = {run.id: {"seconds": 0.0, "tokens": 0.0} for run in self.runs}
        figure = empty_curves("page")
        labels = short_names(run.experiment.method.label for run in self.runs)
        of_names = distinct_styles(labels.values())
        styles = {label: of_names[short] for label, short in labels.items()}
        figure.add_traces([_trace(run, kind, styles) for run, kind in pairs])
        traces = cast(tuple[go.Scatter, ...], figure.data)
        name_once(tuple(t for t in traces if cast(dict, t.meta)["kind"] != "train"))
        names = {label: shown(short) for label, short in labels.items()}
        figure.for_each_trace(lambda trace: trace.update(name=names[trace.legendgroup]))
        narrow = self._scaled(stacked())
        figure.update_layout(self._scaled(figure.to_plotly_json()["layout"]), font_size=12)
        figure.update_layout(margin=MARGIN, xaxis_domain=LEFT, xaxis2_domain=RIGHT)
        figure.update_xaxes(title_font_size=12, title_standoff=4)
        figure.update_yaxes(title_font_size=12, title_standoff=4)
        self.chart.show(figure, curve_text(()), narrow)

    def _scaled(self, layout: Mapping[str, Any]) -> dict[str, Any]:
        """Return the axes of a layout with their titles and scales."""
        axes = {}
        for name, axis in layout.items():
            if name.startswith(("xaxis", "yaxis")):
                is_log = self.log_x if name.startswith("x") else self.log_y
                title = {"title": {"text": AXES[self.along]}} if name.startswith("x") else {}
                title |= {"matches": "x"} if name == "xaxis2" else {}
                axes[name] = {**axis, **title, "type": "log" if is_log else "linear"}
        return {**{k: v for k, v in layout.items() if k == "height"}, **axes}

    def redraw(self, along: str, log_x: bool, log_y: bool) -> None:
        """Draw the same runs along another axis or on other scales."""
        self.along, self.log_x, self.log_y = along, log_x, log_y
        self.show(self.runs)
        self.catch_up()

    def series(self) -> list[Series]:
        """Return the present curves in the format of the figure functions."""
        return [
            _series(run, kind, self.chart.curves[self.numbers[run.id, kind]])
            for run, kind in product(self.runs, KINDS)
        ]

    @property
    def has_points(self) -> bool:
        """True if a point is drawn."""
        return any(len(curve) for curve in self.chart.curves)

    @property
    def figures(self) -> dict[str, Figure]:
        """The present curves as a figure by name; empty before the first point."""
        with self.chart.lock:  # the curves grow concurrently
            series = [
                Series(
                    label=line["label"],
                    seed=line["seed"],
                    kind=line["kind"],
                    steps=list(line["steps"]),
                    values=list(line["values"]),
                )
                for line in self.series()
                if len(line["steps"])
            ]
        return {"loss_curves": loss_curves(series)} if series else {}

    def feed(self, news: dict[str, list[dict]]) -> None:
        """Append new events of each run id; only new points are sent to the page."""
        points: dict[int, list[tuple[float, float]]] = defaultdict(list)
        for run_id, event in ((i, event) for i, events in news.items() for event in events):
            if event["kind"] == "train":
                self._count(run_id, event)
            if event["kind"] in KINDS and event.get("loss") is not None:
                place, loss = self._place(run_id, event), event["loss"]
                points[self.numbers[run_id, event["kind"]]].append((place, loss))
                if event["kind"] == "train":
                    mean = self.means[run_id].add(loss)
                    points[self.numbers[run_id, "mean"]].append((place, mean))
            elif event["kind"] == "status" and event.get("state") == "running":
                self.chart.extend(points)
                points.clear()
                self._go_back(run_id, event.get("step", 0))
        self.chart.extend(points)
        self.chart.alt = curve_text(self.series())

    def _count(self, run_id: str, event: Mapping[str, Any]) -> None:
        clock = self.clocks[run_id]
        clock["seconds"] += event.get("seconds") or 0.0
        clock["tokens"] = event.get("tokens", clock["tokens"])

    def _place(self, run_id: str, event: Mapping[str, Any]) -> float:
        """Return the position of an event on the horizontal axis."""
        return event["step"] if self.along == "step" else self.clocks[run_id][self.along]

    def _go_back(self, run_id: str, step: int) -> None:
        """Remove the points after the checkpoint from which a run resumes.

        The run repeats the later steps (see `qtha_lab.experiment.run_directory.events.history`).
        """
        if self.along == "step":
            self.chart.cut([self.numbers[run_id, kind] for kind in (*KINDS, "mean")], step)

    def rest(self) -> None:
        """Finish: stop the polling of pages, and renew the static picture."""
        self.chart.expect(False)
        self.show_still()

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
        super()._ipython_display_()
        self.background.start("follow", self.follow)


def _trace(run: Any, kind: str, styles: Mapping[str, dict[str, str]]) -> go.Scatter:
    """Return the empty line of one curve; the recorded train loss is faint."""
    label = run.experiment.method.label
    of_panel: Kind = "eval" if kind == "eval" else "train"
    line = curve(_series(run, of_panel), style=styles[label])
    if kind == "train":
        color = faint(styles[label]["color"], FAINT)
        line.update(line={"color": color, "width": 1, "dash": "solid"}, hoverinfo="skip")
        line.update(showlegend=False, meta={"seed": run.experiment.seed, "kind": "train"})
    elif kind == "mean":
        line.update(line={"width": 2.2}, meta={"seed": run.experiment.seed, "kind": "mean"})
    return line


def _series(run: Any, kind: Kind, points: Curve = NONE) -> Series:
    method, seed = run.experiment.method, run.experiment.seed
    return {
        "label": method.label,
        "seed": seed,
        "kind": kind,
        "steps": points.x,
        "values": points.y,
    }
