"""Runs while they train: rows with Stop and Resume, live curves, and the table when they end.

Follows run directories; a page reload or a kernel restart loses nothing, for a new panel reads them again.
"""

import asyncio
from collections.abc import Callable, Iterable

from qtha_lab import compare
from widgets import look
from widgets.live import TICK_SECONDS, LivePlot
from widgets.loop import Background
from widgets.run_list import RunList


class Watch:
    """Show `watch.panel`; `watch.show(runs)` follows other runs."""

    def __init__(self, background: Background, on_change: Callable[[dict], None] = lambda _: None):
        self.background, self.on_change = background, on_change
        self.list = RunList(self.stop, self.resume)
        self.plot = LivePlot()
        self.results = look.text("", "qtha-table")
        self.notes = look.text("", "qtha-said")
        self.panel = look.column(self.list.panel, self.plot.panel, self.results, self.notes)
        self.show(())

    @property
    def runs(self) -> list:
        """The runs shown."""
        return self.plot.runs

    def show(self, runs: Iterable) -> None:
        """Follow these runs instead."""
        runs = list(runs)
        self.panel.layout.display = "" if runs else "none"
        self.plot.show(runs)
        self.list.show(runs)
        self.results.value = self.notes.value = ""
        self.background.start("follow", self.follow)

    def stop(self, runs: Iterable) -> None:
        """Ask runs to stop: after their step, and saved."""
        self._each("stop", [run.stop for run in runs])

    def resume(self, runs: Iterable) -> None:
        """Go on from the last checkpoints."""
        self._each("resume", [run.resume for run in runs])

    def _each(self, name: str, calls: list[Callable]) -> None:
        async def work() -> None:
            await asyncio.gather(*map(asyncio.to_thread, calls))
            self.background.start("follow", self.follow)

        self.background.start(f"{name} {id(calls)}", work)

    async def follow(self) -> None:
        """Draw at most twice a second until every run has ended, then the table."""
        while self.runs:
            statuses = {run.id: await asyncio.to_thread(run.status) for run in self.runs}
            await self.plot.tick()
            self.list.update(statuses)
            self.on_change(statuses)
            if all(status.ended for status in statuses.values()):
                break
            await asyncio.sleep(TICK_SECONDS)
        await self.tell()

    async def tell(self) -> None:
        """The table of what has finished."""
        summaries = [await asyncio.to_thread(run.summary) for run in self.runs]
        summary = {"runs": [one for one in summaries if one]}
        self.results.value = look.table(compare.rows(summary)) if summary["runs"] else ""
