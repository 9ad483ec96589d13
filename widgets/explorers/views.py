"""Linked views of any runs: curves, learning rates, settings and trials.

Runs selected by a brush in one view are highlighted in the others. Ties
`qtha_lab.studies.comparison.findings` to controls; headless is `draw_finding`.
"""

import asyncio
import functools
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import ipywidgets as ipw
import traitlets

from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.events import history
from qtha_lab.experiment.run_directory.record import Stamp, stamp
from qtha_lab.figures.machinery import labels
from qtha_lab.figures.parallel_scales import inside, scale
from qtha_lab.runs.run import Run
from qtha_lab.runs.table.frame import matching
from qtha_lab.runs.table.varied import filled, short_labels, varied
from qtha_lab.studies.comparison.compared import Compared
from qtha_lab.studies.comparison.findings import PAGE, draw_of
from qtha_lab.studies.comparison.over_settings import measures_of, points_of
from qtha_lab.studies.comparison.over_training import ALONG, OVER_TRAINING, history_of

from ..figures.figure_widget import FigureWidget
from ..figures.sentence_figure import nothing
from ..kit import boxes
from .explorer import Explorer
from .explorer_model import Choice, Drawing, ExplorerModel, values_of

if TYPE_CHECKING:
    import pandas

TICK_SECONDS = 0.5


class ViewsModel(ExplorerModel):
    """Runs and the view that shows them.

    `brushed` holds the ids that a brush selected. A run is found by its id in the runs folder, or
    by the path of its directory.

    Example:
        >>> views = ViewsModel()
        >>> views.view, views.figures["view"].alt
        ('curves', 'Runs to draw must be at least one, got none. Tick some runs.')
    """

    STATE = ("runs", "view", "y", "x", "smoothing", "log_x", "log_y", "bands", "brushed")
    runs, brushed = traitlets.Tuple(), traitlets.Tuple()
    view, y, x = Choice(), Choice(), Choice()
    smoothing = traitlets.Float(0.0, min=0.0, max=0.99).tag(slider=True)
    bands = traitlets.Bool(True).tag(label="seeds as a band")
    log_x = traitlets.Bool(False).tag(label="log x")
    log_y = traitlets.Bool(False).tag(label="log y")

    def __init__(self, runs: Iterable[str] = (), **state: Any):
        runs = tuple(runs)
        self.found_runs: dict[str, Any] = {}
        self.events: dict[str, tuple[int, list[dict]]] = {}
        self.stamps: dict[str, Stamp] = {}
        self._find(runs)
        super().__init__({"runs": runs, **state})

    # ---- reading of runs

    def prepare(self) -> None:
        """Find the runs, and read their new values except events."""
        self._find(self.runs)

    def _find(self, keys: Iterable[str]) -> None:
        places = {key: paths.runs_dir() / key for key in keys}
        self.found_runs = {
            key: self.found_runs.get(key) or Run(place)
            for key, place in places.items()
            if RunDir(place).exists
        }
        self.stamps = {key: stamp(run.path) for key, run in self.found_runs.items()}
        self.readable = {r.id: r for r in self.found_runs.values() if not r.unreadable}
        vars(self).pop("frame", None)

    @functools.cached_property
    def frame(self) -> "pandas.DataFrame":
        """Settings and measures of the runs."""
        return filled(self.readable.values(), defaults=False)

    def settle(self) -> None:
        """Restrict the brushed ids to the present runs."""
        self.brushed = tuple(key for key in self.brushed if key in self.readable)

    def events_of(self, run: Run) -> list[dict]:
        """Return the valid events of a run, reading only new ones."""
        offset, events = self.events.get(run.id, (0, []))
        news, end = run.events(offset)
        if news or run.id not in self.events:
            events = history([*events, *news])
            self.events[run.id] = end, events
        return events

    # ---- the explorer

    def offers(self, name: str) -> Sequence:
        if name == "view":
            return [(finding.title, finding.name) for finding in PAGE.values()]
        if name not in PAGE[self.view].options:
            return [None]
        if self.view == "curves":
            names = OVER_TRAINING if name == "y" else ALONG
            return [(labels.label_of(n).words, n) for n in names if self._recorded(n)]
        names = measures_of(self.frame)
        names = [*names, *varied(self.frame)] if name == "x" else names
        return [(labels.axis(n), n) for n in names or ("eval_loss",)]

    def _recorded(self, name: str) -> bool:
        """Return True if a run has recorded a quantity, so that it is offered."""
        along, y = (name, "train_loss") if name in ALONG else ("step", name)
        always = name in ("step", "seconds", "eval_loss", "train_loss")
        runs = self.readable.values()
        return always or any(history_of(self.events_of(run), along, y)[0] for run in runs)

    def usual(self, name: str) -> Any:
        """Return the default: the loss on y, steps or parameters on x, if offered."""
        first = {"x": ("step", "trainable_parameters"), "y": ("eval_loss",)}.get(name, ())
        values = values_of(self.offers(name))
        return next((n for n in first if n in values), None) or super().usual(name)

    def _asks(self, name: str) -> bool:
        return name in PAGE[self.view].options

    def compute(self, state: SimpleNamespace) -> Drawing:
        view = PAGE[state.view]
        options = {
            name: getattr(state, name)
            for name in view.options
            if hasattr(state, name) and getattr(state, name) is not None
        }
        given = [run for key, run in self.found_runs.items() if key in state.runs]
        compared = Compared({}, chosen=given, events=self.events_of)
        try:
            figure = draw_of(view, compared, **options)
        except Refusal as refused:
            figure = nothing(str(refused))
        words = "".join(f", {name}={value!r}" for name, value in options.items())
        ids = ", ".join(map(repr, state.runs))
        code = (
            "from qtha_lab.studies.comparison.findings import draw_finding\n\n"
            f"draw_finding({view.name!r}, [{ids}]{words})"
        )
        return Drawing({"view": figure}, [], code)

    # ---- brushing

    def brush(self, ranges: list[list[float]], ids: Sequence[str]) -> None:
        """Select runs by boxes on the page.

        On parallel axes, these are the runs that cross all boxes; otherwise those inside any box.

        Args:
            ranges: Boxes as x from, x to, y from, y to.
            ids: Runs whose points are inside a box.
        """
        if self.view == "parallel":
            points = points_of(self.frame, short_labels(self.frame))
            names = [*varied(self.frame), cast(str, self.y)]
            scales = {n: scale(n, [point["values"].get(n) for point in points]) for n in names}
            at = {
                name: [(low, high) for left, right, low, high in ranges if left <= place <= right]
                for place, name in enumerate(names)
            }
            at = {name: limits for name, limits in at.items() if limits}
            ids = [point["id"] for point in points if at and inside(point, scales, at)]
        self.brushed = tuple(dict.fromkeys(key for key in ids if key))

    def brush_where(self, expression: str) -> None:
        """Select runs by an expression like that of `qtha-lab runs --where`."""
        chosen = matching(self.found_runs.values(), expression) if expression else []
        self.brushed = tuple(run.id for run in chosen if run.id in self.readable)

    def all_ended(self) -> bool:
        """Return True if no run adds values any more."""
        return all(run.status().ended for run in list(self.found_runs.values()))

    def has_news(self) -> bool:
        """Return True if a run has new values."""
        runs = list(self.found_runs.items())
        return any(stamp(run.path) != self.stamps.get(key) for key, run in runs)


class Views(Explorer, ViewsModel):
    """Panel of figures on any runs, in which a brush selects runs.

    Set `runs` to ids, or link it to the table's `ticked`.

    Unfinished runs are followed, at most twice a second.
    """

    ROWS = (("view", "y", "x"), ("smoothing", "bands", "log_x", "log_y"))

    def __init__(self, runs: Iterable[str] = (), **state: Any):
        super().__init__(runs, **state)
        self.plot.observe(self.error.guard(self._brush), "brush")
        self.observe(lambda _: self._follow_all(), "runs")
        self._follow_all()

    @property
    def plot(self) -> FigureWidget:
        """The figure of the view."""
        return self.views["view"]

    def below_controls(self) -> list[Any]:
        self.clear = boxes.button("Clear brush", icon="eraser")
        self.clear.on_click(lambda _: self._unbrush())
        hint = {"placeholder": "eval_loss < 4.2 and r >= 4", "continuous_update": False}
        self.where = boxes.styled(ipw.Text, description="brush where", css="qtha-setting", **hint)
        self.where.observe(self.error.guard(lambda _: self.brush_where(self.where.value)), "value")
        self.brushing = boxes.row()
        return [self.brushing]

    def show_more(self) -> None:
        """Show the controls that the view uses."""
        for row, names in zip(self.rows, self.ROWS, strict=True):
            row.children = [self.controls[n] for n in names if n == "view" or self._asks(n)]
        count = len(self.brushed)
        self.brushing.children = [self.where, self.clear] if self._asks("brushed") else []
        self.clear.disabled = not count
        runs = f" ({count} run{'s' if count > 1 else ''})" if count else ""
        self.clear.description = f"Clear brush{runs}"

    def _brush(self, change: dict[str, Any]) -> None:
        self.brush(change["new"].get("boxes", []), change["new"].get("ids", []))

    def _unbrush(self) -> None:
        self.where.value, self.brushed = "", ()

    def _follow_all(self) -> None:
        self.background.start("follow", self.follow)

    async def follow(self) -> None:
        """Draw new values at most twice a second, until every run has ended."""
        while True:
            ended = await asyncio.to_thread(self.all_ended)
            if await asyncio.to_thread(self.has_news):
                self.redraw()
            if ended:
                return
            await asyncio.sleep(TICK_SECONDS)
