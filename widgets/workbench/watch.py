"""Runs during training: rows with Stop and Resume, live curves, and a results table.

Follows run directories. A page reload or a kernel restart loses nothing, because a new panel reads
them again.
"""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import ipywidgets as ipw

from qtha_lab.core.errors import Refusal
from qtha_lab.runs.run import RESUMABLE, Run
from qtha_lab.runs.table import query
from qtha_lab.runs.table.columns import text, worth_showing
from qtha_lab.runs.table.rows import rows
from qtha_lab.studies import comparison as compare

from ..figures.save_figure import save_fold
from ..kit import styles
from ..kit.drawer import Drawer
from ..kit.loop import Background
from ..runs.follower import TICK_SECONDS
from ..runs.live import LivePlot
from ..runs.log_view import LogView
from ..runs.run_list import RunList
from .history import Group, each_once, is_comparison

SEVERAL = (
    "These runs differ in more than method and seed: a row is the mean over runs that differ in their seed alone. "
    "Rows are of different experiments; nothing is said on their differences."
)
AGAIN = "{} shown here with the method and seed of a newer one: the newest of each counts, for the same again is no further seed."


class Watch:
    """A panel of runs; show `watch.panel`, follow other runs by `watch.show(runs)`.

    The page needs a `styles.style_sheet()`. The buttons `stop_all` and `resume_all` act on all runs
    and may be placed anywhere.
    """

    def __init__(self, background: Background):
        self.background = background
        self.list = RunList(self.stop, self.resume, self.show_log)
        self.stop_all = ipw.Button(description="Stop all", icon="stop")
        self.stop_all.on_click(lambda _: self.stop(self.runs))
        self.resume_all = ipw.Button(description="Resume all", icon="play")
        self.resume_all.on_click(lambda _: self.resume(self.runs))
        self.plot = LivePlot()
        self.results = styles.text("", "qtha-table")
        self.notes = styles.text("", "qtha-text")
        self.log = Drawer("Log", LogView, background.on_error)
        save = save_fold(self.plot)
        parts = self.list.panel, self.log, self.plot.panel, save, self.results, self.notes
        self.panel = styles.column(*parts)
        self.show(())

    @property
    def runs(self) -> list[Run]:
        """The runs shown."""
        return self.plot.runs

    def show(self, runs: Iterable[Run]) -> None:
        """Follow other runs."""
        runs = list(runs)
        self.panel.layout.display = "" if runs else "none"
        self.log.layout.display = "none"
        self.plot.show(runs)
        self.list.show(runs)
        self._offer({})
        self.results.value = self.notes.value = ""
        self.background.start("follow", self.follow)

    def show_log(self, run: Run) -> None:
        """Show the log of a run below the rows."""
        self.log.title, self.log.layout.display, self.log.unfolded = f"Log of {run.id}", "", True
        if isinstance(self.log.content, LogView):
            self.log.content.show(run.id, run.path.parent)
        self.log.button.focus()

    def stop(self, runs: Iterable[Run]) -> None:
        """Request that runs stop after their current step, with their state saved."""
        self.background.start("stop", lambda: self._in_threads([run.stop for run in runs]))

    def resume(self, runs: Iterable[Run]) -> None:
        """Resume all resumable runs from their last checkpoints."""

        async def work() -> None:
            states = [(run, (await asyncio.to_thread(run.status)).state) for run in runs]
            calls = [run.resume for run, state in states if state in RESUMABLE]
            if not calls:
                raise Refusal(f"nothing to resume: {', '.join(s for _, s in states) or 'no run'}")
            await self._in_threads(calls)
            self.background.start("follow", self.follow)

        self.background.start("resume", work)

    async def follow(self) -> None:
        """Draw at most twice a second until all runs end, with a results table.

        The table is renewed whenever a run ends.
        """
        ended = -1
        self.plot.chart.expect(bool(self.runs))
        while self.runs:
            statuses = {run.id: await asyncio.to_thread(run.status) for run in self.runs}
            await self.plot.tick()
            self.list.update(statuses)
            self._offer(statuses)
            previous, ended = ended, sum(status.ended for status in statuses.values())
            if ended != previous:
                await self.show_results()
            if ended == len(statuses):
                return self.plot.rest()
            await asyncio.sleep(TICK_SECONDS)

    def _offer(self, statuses: dict) -> None:
        """Enable the buttons for all runs if any run can be stopped or resumed."""
        rows = [self.list.rows[run_id] for run_id in statuses if run_id in self.list.rows]
        self.stop_all.disabled = all(row.stop.disabled for row in rows)
        self.resume_all.disabled = all(row.resume.disabled for row in rows)

    async def show_results(self) -> None:
        """Show the table of ended runs, and notes on its findings."""
        if not is_comparison(self.runs):
            self.results.value = styles.table(await asyncio.to_thread(rows_of, self.runs))
            self.notes.value = styles.lines([SEVERAL])
            return
        runs = each_once(self.runs)
        group = Group(tuple(runs))
        summary = await asyncio.to_thread(compare.summarise, group.trusted, runs)
        any_ended, again = bool(summary["runs"]), len(self.runs) - len(runs)
        repeats = [AGAIN.format(f"{again} run{'s' if again > 1 else ''}")] if again else []
        self.results.value = styles.table(compare.rows(summary)) if any_ended else ""
        self.notes.value = styles.lines([*repeats, *summary["notes"]]) if any_ended else ""

    async def _in_threads(self, calls: list[Callable]) -> None:
        """Run slow calls in threads of their own, so that reading goes on."""
        if not calls:
            return
        pool = ThreadPoolExecutor(len(calls))
        try:
            loop = asyncio.get_running_loop()
            await asyncio.gather(*(loop.run_in_executor(pool, call) for call in calls))
        finally:
            pool.shutdown(wait=False)


def rows_of(runs: Iterable[Run]) -> list[dict[str, str]]:
    """Format runs of several launches as rows, seeds grouped, with their differing settings."""
    groups = query(rows(runs), sort="eval_loss", group="seeds")
    names = worth_showing(groups)
    return [{name: text(row, name) for name in names} for row in groups]
