"""A panel of a sweep in progress: state, trials, the best trial per method.

Its buttons stop, resume, extend and confirm the sweep. It reads the sweep's directory, so that a
new panel, kernel or tab finds it again. The scheduler is a process of its own.
"""

import asyncio
import math
from collections.abc import Callable, Iterable
from typing import Any

import ipywidgets as ipw
import traitlets

from qtha_lab.cli.output import duration
from qtha_lab.core import call_syntax, paths
from qtha_lab.core.errors import Refusal
from qtha_lab.core.method_styles import shown
from qtha_lab.core.metrics import MEASURES
from qtha_lab.experiment import Sweep
from qtha_lab.figures.loss_against_rate import End, loss_against_rate
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.run_scatter import run_scatter
from qtha_lab.studies.comparison import ComparisonStudy
from qtha_lab.studies.sweep import SweepStudy, TrialRecord

from ..figures.figure_widget import FigureWidget
from ..figures.sentence_figure import nothing
from ..kit import boxes
from ..kit.fold import Fold
from ..kit.loop import with_libraries
from .study_watch import BAR_STYLES, GOING, StudyWatch

WORDS = {
    "dead": "its scheduler process has ended too early; Resume continues without repeating a trial",
    "stopped": "Resume goes on where it was",
    "stopping": "what runs is being saved",
}


class SweepWatch(StudyWatch[SweepStudy]):
    """A panel that follows one sweep of the runs folder; see `StudyWatch`.

    The default is the latest sweep.

    Attributes:
        sweep: The name of the displayed sweep, empty for none.
        confirming: The ids of the runs launched last to confirm its best trials.

    Args:
        view_runs: Shows views of runs, by their ids; None where the page has no views.

    Example:
        >>> SweepWatch()  # doctest: +SKIP
    """

    noun, of = "sweep", SweepStudy
    sweep = traitlets.Unicode()
    confirming = traitlets.Tuple()

    def __init__(
        self,
        name: str | None = None,
        view_runs: Callable[[Iterable[str]], None] | None = None,
        **options: Any,
    ):
        self.view_runs = view_runs
        super().__init__(name, **options)

    def parts(self) -> list[Any]:
        self.bar = boxes.styled(ipw.IntProgress)
        self.bar.tooltip = "trials that have ended"
        self.picture = FigureWidget(nothing("no trial has ended yet"))
        self.best = boxes.text("", "qtha-table")
        self.table = boxes.text("", "qtha-table")
        self.extend = self.button("Give it more trials", "plus", self._extend)
        self.more = _count("more trials", 10, 10_000)
        tip = "Run the best of each method with fresh seeds, and compare them on test rows"
        self.sure = boxes.button("Confirm the best", icon="check", tooltip=tip)
        confirm = self.background.start_once
        self.sure.on_click(self.error.guard(lambda _: confirm("confirm", self.confirm)))
        self.seeds = _count("fresh seeds", 3, 100)
        self.launched = boxes.text()
        see = boxes.button("Views of its runs", icon="line-chart")
        see.on_click(lambda _: self.view_runs(self.runs) if self.view_runs else None)
        boxes.show(see, self.view_runs is not None)
        return [
            self.bar,
            self.picture,
            self.best,
            boxes.row([self.stop, self.resume, see]),
            boxes.row([self.sure, self.seeds, self.extend, self.more]),
            self.launched,
            self.error.panel,
            Fold("All trials", self.table),
        ]

    def subject(self, described: Sweep) -> tuple[str, str]:
        return f"{described.model}/{described.task}", f" over {', '.join(described.axes)}"

    def read(self, view: SweepStudy) -> tuple[str, str, list[TrialRecord]]:
        state, records = view.state, view.records()
        words = sentence(state, records, view.planned, view.seconds_left(records))
        return state, words, records

    def draw(self, view: SweepStudy, state: str, rest: list[TrialRecord]) -> None:
        described, records = view.sweep, rest
        ended = [record for record in records if record.state != "running"]
        self.bar.max, self.bar.value = max(view.planned, 1), len(ended)
        self.bar.bar_style = BAR_STYLES.get(state, "")
        self.picture.show(picture_of(described, records))
        self.best.value = boxes.html_table(best_rows(view, records))
        self.table.value = boxes.html_table([_row(described, record) for record in records])
        self.runs = tuple(name for record in records for name in record.runs)
        self.extend.disabled = self.more.disabled = state in GOING
        has_all = len(view.best(records)) == len(described.methods)
        self.sure.disabled = self.seeds.disabled = state in GOING or not has_all

    def clear(self) -> None:
        self.best.value = self.table.value = self.launched.value = ""

    def still(self) -> dict[str, str]:
        """Return the state of the sweep and the best trial per method."""
        if self.view is None:
            return {"text/plain": "There is no sweep yet."}
        _, words, records = self.read(self.view)
        line = f"Sweep {self.title(self.view)}: {words}"
        table = boxes.html_table(best_rows(self.view, records))
        still = {"text/plain": line, "text/html": f"<p>{boxes.lines([line])}</p>{table}"}
        figure = picture_of(self.view.sweep, records)
        return still | {"image/svg+xml": figure.svg(), "alt": figure.alt}

    async def confirm(self) -> None:
        """Launch the best of each method as a comparison with fresh seeds."""
        if self.view is None:
            return
        place = paths.runs_dir() / ComparisonStudy.group() / f"best of {self.view.path.name}"
        comparison = await asyncio.to_thread(self.view.confirmation, int(self.seeds.value))
        started = await with_libraries(ComparisonStudy.begin, comparison, place)
        self.confirming = tuple(run.id for run in started)
        methods = ", ".join(method.label for method in comparison.methods)
        seeds = ", ".join(map(str, comparison.seeds))
        line = f"Launched to confirm: {methods}, each with seeds {seeds}."
        self.launched.value = boxes.lines([line])

    def _extend(self, trials: SweepStudy) -> None:
        described, planned = trials.sweep, trials.planned
        counts = map(described.trials_of, described.methods)
        extended = described.replace(trials=max(counts) + self.more.value)
        if sum(map(extended.trials_of, extended.methods)) == planned:
            raise Refusal(
                "The grid has no points left. Launch a sweep with more values or another search."
            )
        trials.extend(trials=extended.trials)


def _count(description: str, value: int, most: int) -> ipw.BoundedIntText:
    width = boxes.layout(width="150px")
    return boxes.styled(
        ipw.BoundedIntText, value, min=1, max=most, description=description, layout=width
    )


def picture_of(described: Sweep, records: Iterable[TrialRecord]) -> Figure:
    """Draw the objective of the ended trials against the learning rate, else the first axis."""
    ended = [record for record in records if record.state in ("complete", "failed")]
    if not ended:
        return nothing("no trial has ended yet")
    rates = [axis for axis in described.axes if axis.rpartition(".")[2] == "learning_rate"]
    if rates:
        ends: list[End] = [
            {"label": record.method, "seed": 0, "learning_rate": rate, "value": _finite(record)}
            for record in ended
            if (rate := _rate(record, rates)) is not None
        ]
        return loss_against_rate(ends, described.objective)
    axis = next(iter(described.axes))
    points: list[Any] = [
        {"id": str(record.number), "label": record.method,
         "values": {axis: record.point.get(axis), described.objective: _finite(record)}}
        for record in ended
    ]  # fmt: skip
    return run_scatter(points, axis, described.objective)


def _finite(record: TrialRecord) -> float | None:
    return record.value if record.value is not None and math.isfinite(record.value) else None


def _rate(record: TrialRecord, axes: list[str]) -> float | None:
    return next((record.point[axis] for axis in axes if record.point.get(axis)), None)


def sentence(
    state: str, records: Iterable[TrialRecord], planned: int, left: float | None = None
) -> str:
    """Describe the state of a sweep in words.

    Args:
        state: As `Study.state`.
        records: The trials so far.
        planned: Number of planned trials.
        left: Seconds left, if known; included while the sweep runs.
    """
    states = [record.state for record in records]
    counts = ", ".join(f"{states.count(each)} {each}" for each in dict.fromkeys(states))
    rest = f"about {duration(left)} left" if left and state == "running" else ""
    parts = [state, f"{len(states)} of {planned} trials begun", counts, rest, WORDS.get(state, "")]
    return " · ".join(filter(None, parts))


def best_rows(trials: SweepStudy, records: list[TrialRecord]) -> list[dict[str, str]]:
    """Return one row per method: its best point so far, and its number of trials."""
    described, best, rows = trials.sweep, trials.best(records), []
    for method in described.methods:
        first = best.get(method.label)
        point = first.point if first else {}
        ended = [r for r in records if r.method == method.label and r.state != "running"]
        rows.append(
            {
                "best of": shown(method.label),
                **{axis: _text(point.get(axis)) for axis in described.axes},
                objective_title(described): _text(first and first.value),
                "trials": f"{len(ended)} of {described.trials_of(method)}",
            }
        )
    return rows


def objective_title(described: Sweep) -> str:
    """Return the objective with its unit."""
    measure = MEASURES[described.objective]
    return f"{measure.words} ({measure.unit})" if measure.unit else measure.words


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else call_syntax.write_value(value)


def _row(described: Sweep, record: TrialRecord) -> dict[str, str]:
    return {
        "method": shown(record.method),
        "trial": str(record.number),
        "state": record.state,
        **{axis: _text(record.point.get(axis)) for axis in described.axes},
        objective_title(described): _text(record.value),
        "why": record.message,
    }
