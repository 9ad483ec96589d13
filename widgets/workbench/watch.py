"""Runs during training: live curves, and a line per run with state, Stop and Resume.

Follows run directories. A page reload or a kernel restart loses nothing, because a new panel reads
them again.
"""

import asyncio
import functools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import ipywidgets as ipw
import traitlets

from qtha_lab.core.errors import Refusal
from qtha_lab.runs.run import RESUMABLE, Run, resume_all

from ..figures.saving import save_fold
from ..kit import boxes
from ..kit.fold import Fold
from ..kit.loop import Background
from ..runs.live import LivePlot
from ..runs.live_figure import TITLES
from ..runs.live_model import TICK_SECONDS
from ..runs.run_list import LogView, RunList

EMPTY = "No run is shown. Press <b>Launch</b>, choose a preset, or tick runs in the table below."


class Watch:
    """A panel of runs; show `watch.panel`, follow other runs by `watch.show(runs)`.

    The buttons `stop_all` and `resume_all` act on all runs and may be placed anywhere.

    Args:
        background: Runs the reading of the runs.
        ended: Coroutine that is awaited whenever a run ends, and at the beginning.
        counted: Called with the statuses of the runs at each reading.
    """

    def __init__(
        self,
        background: Background,
        ended: Callable | None = None,
        counted: Callable[[dict], None] = lambda statuses: None,
    ):
        self.background, self.ended, self.counted = background, ended, counted
        self.list = RunList(self.stop, self.resume, self.show_log)
        self.stop_all = boxes.button(
            "Stop all", icon="stop", tooltip="Stop every run that is shown"
        )
        self.stop_all.on_click(lambda _: self.stop(self.runs))
        self.resume_all = boxes.button("Resume all", icon="play")
        self.resume_all.on_click(lambda _: self.resume(self.runs))
        self.plot = LivePlot(following=False)
        self.empty = boxes.text(f"<p>{EMPTY}</p>", "qtha-empty")
        self.log = Fold("Log", lambda: self.log_view)
        along = [(words, name) for name, words in TITLES.items()]
        self.along = boxes.styled(ipw.Dropdown, options=along, description="along")
        self.log_x = boxes.styled(ipw.Checkbox, description="log x", indent=False)
        self.log_y = boxes.styled(ipw.Checkbox, description="log loss", indent=False)
        for name in ("along", "log_x", "log_y"):
            traitlets.link((self.plot, name), (getattr(self, name), "value"))
        scales = [self.along, self.log_x, self.log_y]
        self.tools = boxes.row([*scales, save_fold(self.plot)], css="qtha-figure-tools")
        parts = self.empty, self.plot, self.list.panel, self.tools, self.log
        self.panel = boxes.column(parts, css="qtha-watch")
        self.show(())

    @functools.cached_property
    def log_view(self) -> LogView:
        """The log of a run, built when first opened."""
        return LogView()

    @property
    def runs(self) -> list[Run]:
        """The runs shown."""
        return self.plot.runs

    def show(self, runs: Iterable[Run]) -> None:
        """Follow other runs."""
        runs = list(runs)
        for part in (self.plot, self.list.panel, self.tools):
            boxes.show(part, bool(runs))
        boxes.show(self.empty, not runs)
        boxes.show(self.log, False)
        self.plot.show(runs)
        self.list.show(runs)
        self._offer({})
        self.counted({})
        self.background.start("follow", self.follow)

    def show_log(self, run: Run) -> None:
        """Show the log of a run below the rows."""
        self.log.title, self.log.unfolded = f"Log of {run.id}", True
        boxes.show(self.log)
        self.log_view.show(run.id, run.path.parent)
        self.log.switch.focus()

    def stop(self, runs: Iterable[Run]) -> None:
        """Request that runs stop after their current step, with their state saved."""
        self.background.start("stop", lambda: self._in_threads([run.stop for run in runs]))

    def resume(self, runs: Iterable[Run]) -> None:
        """Resume all resumable runs from their last checkpoints."""

        async def work() -> None:
            states = [(run, (await asyncio.to_thread(run.status)).state) for run in runs]
            resumable = [run for run, state in states if state in RESUMABLE]
            if not resumable:
                states_shown = ", ".join(state for _, state in states) or "no run"
                raise Refusal(f"A run to resume must have stopped or failed, got {states_shown}.")
            await asyncio.to_thread(resume_all, resumable)
            self.background.start("follow", self.follow)

        self.background.start("resume", work)

    async def follow(self) -> None:
        """Draw at most twice a second until all runs end; report each run that ends."""
        ended = -1
        while self.runs:
            statuses = {run.id: await asyncio.to_thread(run.status) for run in self.runs}
            await self.plot.tick()
            self.list.update(statuses)
            self._offer(statuses)
            self.counted(statuses)
            previous, ended = ended, sum(status.ended for status in statuses.values())
            if ended != previous and self.ended is not None:
                await self.ended()
            if ended == len(statuses):
                return self.plot.rest()
            await asyncio.sleep(TICK_SECONDS)

    def _offer(self, statuses: dict) -> None:
        """Enable the buttons for all runs if any run can be stopped or resumed."""
        rows = [self.list.rows[run_id] for run_id in statuses if run_id in self.list.rows]
        self.stop_all.disabled = not any(row.offers("Stop") for row in rows)
        self.resume_all.disabled = not any(row.offers("Resume") for row in rows)
        boxes.show(self.resume_all, not self.resume_all.disabled)

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
