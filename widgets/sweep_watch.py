"""A sweep while it runs: its state, trials so far, the best of each method; stop, resume, more trials, confirm the best.

Reads the sweep's directory, so that a new panel, kernel or tab finds it again; its driver is a process of its own.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import ipywidgets as ipw
import traitlets

from qtha_lab import calls
from qtha_lab.cli.output import duration
from qtha_lab.errors import Refusal
from qtha_lab.experiment import Sweep
from qtha_lab.looks import shown
from qtha_lab.measures import MEASURES
from qtha_lab.sweep import TrialRecord, Trials, attach
from qtha_lab.sweep.folder import SweepDir, list_sweeps

from . import look
from .fold import Fold
from .guard import ErrorLine
from .launching import launch_all
from .loop import Background, with_libraries
from .past import local_time
from .shown import Shown

TICK_SECONDS = 0.7
GOING = ("running", "stopping")
WORDS = {
    "dead": "its driver has ended before its time: Resume goes on where it was, nothing finished is repeated",
    "stopped": "Resume goes on where it was",
    "stopping": "what runs is being saved",
}


class SweepWatch(Shown):
    """Follows one sweep of the runs folder, by default the latest.

    Attributes:
        sweep: The name of the sweep shown, empty for none.
        runs: The ids of its runs so far.
        confirming: The ids of the runs launched last to confirm its best.

    Args:
        sweep: The name of the sweep to show; None is the latest.
        background: Where reading and waiting are done; by default its own.
        announce: Takes news to be read aloud.

    Example:
        >>> SweepWatch()  # doctest: +SKIP
    """

    sweep = traitlets.Unicode()
    runs = traitlets.Tuple()
    confirming = traitlets.Tuple()

    def __init__(
        self,
        sweep: str | None = None,
        background: Background | None = None,
        announce: Callable[[str], None] = lambda sentence: None,
    ):
        super().__init__()
        self.add_class("qtha-sweep")
        self.announce = announce
        self.error = ErrorLine()
        self.background = background or Background(self.error.report)
        self.trials: Trials | None = None
        self.state = look.text("", "qtha-banner")
        self.bar = ipw.IntProgress(layout={"width": "auto", "height": "18px"})
        self.best = look.text("", "qtha-table")
        self.table = look.text("", "qtha-table")
        self.children = self._laid_out(alone=background is None)
        names = [folder.path.name for folder in list_sweeps()]
        self.list_again()
        self.observe(self.error.guard(lambda _: self._attach()), "sweep")
        self.layout.display = "none"
        self.sweep = sweep if sweep is not None else (names or [""])[0]

    def list_again(self) -> None:
        """Offer the sweeps that are in the folder now."""
        folders = list_sweeps()
        self.pick.options = [("show a sweep …", ""), *((title(f), f.path.name) for f in folders)]
        self.pick.value = ""
        self.pick.layout.display = "" if folders else "none"

    def still(self) -> dict[str, str]:
        """How the sweep stands now, and the best of each method."""
        if self.trials is None:
            return {"text/plain": "There is no sweep yet."}
        state, records, left = _read(self.trials)
        line = f"Sweep {title(self.trials.folder)}: {sentence(state, records, self.trials.planned, left)}"
        table = look.table(best_rows(self.trials, records))
        return {"text/plain": line, "text/html": f"<p>{look.lines([line])}</p>{table}"}

    async def follow(self) -> None:
        """Read and draw about once a second, until the driver has ended."""
        while self.trials is not None:
            trials = self.trials
            state, records, left = await asyncio.to_thread(_read, trials)
            if trials is self.trials:
                self._draw(trials, state, records, left)
            if state not in GOING:
                return
            await asyncio.sleep(TICK_SECONDS)

    async def act(self, action: Callable[[Trials], Any]) -> None:
        """Stop, resume or extend, which may take long, then follow."""
        if self.trials is not None:
            await asyncio.to_thread(action, self.trials)
        self.background.start("sweep", self.follow)

    async def confirm(self) -> None:
        """Launch the best of each method as a comparison with fresh seeds."""
        if self.trials is None:
            return
        name = f"best of {self.trials.folder.path.name}"
        comparison = await asyncio.to_thread(self.trials.confirmation, self.seeds.value)
        started = await with_libraries(launch_all, comparison, name)
        self.confirming = tuple(run.id for run in started)
        methods = ", ".join(method.label for method in comparison.methods)
        seeds = ", ".join(map(str, comparison.seeds))
        self.said.value = look.lines([f"Launched to confirm: {methods}, each with seeds {seeds}."])

    def _attach(self) -> None:
        self.layout.display = "" if self.sweep else "none"
        self.trials, self.runs = None, ()
        self.state.value = self.best.value = self.table.value = self.said.value = ""
        if self.sweep:
            self.trials = attach(self.sweep)
            self.heading.value = look.heading(f"Sweep {title(self.trials.folder)}").value
            self.background.start("sweep", self.follow)

    def _draw(
        self, trials: Trials, state: str, records: list[TrialRecord], left: float | None
    ) -> None:
        described, planned = trials.sweep, trials.planned
        ended = [record for record in records if record.state != "running"]
        line = sentence(state, records, planned, left)
        if line != self.state.value and state not in GOING:
            self.announce(f"Sweep: {line}")
        self.state.value = look.lines([line])
        look.mark(self.state, state == "dead")
        self.bar.max, self.bar.value = max(planned, 1), len(ended)
        self.bar.bar_style = {"finished": "success", "dead": "danger"}.get(state, "info")
        self.best.value = look.table(best_rows(trials, records))
        self.table.value = look.table([_row(described, record) for record in records])
        self.runs = tuple(name for record in records for name in record.runs)
        self.stop.disabled = state != "running"
        self.resume.disabled = state in (*GOING, "finished")
        self.extend.disabled = self.more.disabled = state in GOING
        has_all = len(trials.best(records)) == len(described.methods)
        self.sure.disabled = self.seeds.disabled = state in GOING or not has_all

    def _extend(self, trials: Trials) -> None:
        described, planned = trials.sweep, trials.planned
        counts = map(described.trials_of, described.methods)
        extended = described.replace(trials=max(counts) + self.more.value)
        if sum(map(extended.trials_of, extended.methods)) == planned:
            raise Refusal(
                "every point of this grid is tried: sweep anew with more values, or by another search"
            )
        trials.extend(trials=extended.trials)

    def _laid_out(self, alone: bool) -> list[ipw.Widget]:
        self.heading = look.heading("Sweep")
        self.pick = ipw.Dropdown(description="earlier sweeps").add_class("qtha-pick")
        self.stop = self._button("Stop sweep", "stop", Trials.stop)
        self.resume = self._button("Resume sweep", "play", Trials.resume)
        self.extend = self._button("Give it more trials", "plus", self._extend)
        self.more = ipw.BoundedIntText(10, 1, 10_000, description="more trials")
        self.more.add_class("qtha-count")
        self.sure = ipw.Button(
            description="Confirm the best",
            icon="check",
            tooltip="Run the best of each method again with seeds that no trial had, and compare them on test rows",
        ).add_class("qtha-small")
        confirm = self.background.start_once
        self.sure.on_click(self.error.guard(lambda _: confirm("confirm", self.confirm)))
        self.seeds = ipw.BoundedIntText(3, 1, 100, description="fresh seeds")
        self.seeds.add_class("qtha-count")
        self.said = look.text("", "qtha-text")
        self.pick.observe(self.error.guard(self._picked), "value")
        self.see = ipw.Button(description="Views of its runs", icon="line-chart")
        self.see.add_class(
            "qtha-small"
        ).layout.display = "none"  # until a page has a place for them
        buttons = look.row(self.stop, self.resume, self.see)
        after = look.row(self.sure, self.seeds, self.extend, self.more)
        every = Fold("All trials", self.table)
        style = [look.style_sheet()] if alone else []
        return [
            *style,
            self.heading,
            self.state,
            self.bar,
            self.best,
            buttons,
            after,
            self.said,
            self.error.panel,
            every,
            look.row(self.pick),
        ]

    def _picked(self, change) -> None:
        if change["new"]:
            self.sweep, self.pick.value = change["new"], ""

    def _button(self, label: str, icon: str, action: Callable[[Trials], Any]) -> ipw.Button:
        button = ipw.Button(description=label, icon=icon, tooltip=label).add_class("qtha-small")
        start = self.background.start_once
        button.on_click(self.error.guard(lambda _: start(label, lambda: self.act(action))))
        return button


def title(folder: SweepDir) -> str:
    """When, what and which axes: `2026-11-24 15:30 · tiny/qa · lora, qtha over learning_rate`."""
    try:
        described = folder.sweep
    except Refusal as reason:
        return f"{folder.path.name} · unreadable: {reason}"
    methods = ", ".join(shown(method.label) for method in described.methods)
    what = f"{described.model}/{described.task}"
    return f"{local_time(folder.path.name)} · {what} · {methods} over {', '.join(described.axes)}"


def sentence(
    state: str, records: Iterable[TrialRecord], planned: int, left: float | None = None
) -> str:
    """How a sweep stands, in words.

    Args:
        state: As `Trials.state`.
        records: The trials so far.
        planned: How many there will be.
        left: Seconds that those to come will take, where it is known; said while it runs.
    """
    states = [record.state for record in records]
    counts = ", ".join(f"{states.count(each)} {each}" for each in dict.fromkeys(states))
    rest = f"about {duration(left)} left" if left and state == "running" else ""
    parts = [state, f"{len(states)} of {planned} trials begun", counts, rest, WORDS.get(state, "")]
    return " · ".join(filter(None, parts))


def best_rows(trials: Trials, records: list[TrialRecord]) -> list[dict[str, str]]:
    """A row per method: its best point so far, of how many trials."""
    described, best = trials.sweep, trials.best(records)
    return [
        {
            "best of": shown(method.label),
            **{axis: _value(best, method.label, axis) for axis in described.axes},
            objective_title(described): f"{best[method.label].value:.4g}" if method.label in best else "–",
            "trials": f"{sum(r.method == method.label and r.state != 'running' for r in records)}"
            f" of {described.trials_of(method)}",
        }
        for method in described.methods
    ]  # fmt: skip


def objective_title(described: Sweep) -> str:
    """The objective with its unit."""
    measure = MEASURES[described.objective]
    return f"{measure.words} ({measure.unit})" if measure.unit else measure.words


def _value(best: dict[str, TrialRecord], label: str, axis: str) -> str:
    return _text(best[label].point.get(axis, "–")) if label in best else "–"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if value == "–" else calls.write_value(value)


def _row(described: Sweep, record: TrialRecord) -> dict[str, str]:
    return {
        "method": shown(record.method),
        "trial": str(record.number),
        "state": record.state,
        **{axis: _text(record.point.get(axis, "–")) for axis in described.axes},
        objective_title(described): "–" if record.value is None else f"{record.value:.4g}",
        "why": record.message,
    }


def _read(trials: Trials) -> tuple[str, list[TrialRecord], float | None]:
    """The state, the trials as they are in it, and seconds left: an end that comes between is read whole the next time."""
    state, records = trials.state, trials.records()
    return state, records, trials.seconds_left(records)
