"""Follows run directories: reads what is new of each, twice a second, until every run has ended.

Draws nothing; starts and stops nothing.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

TICK_SECONDS = 0.5


class Follower:
    """Mixed into a panel that takes in events: `follow_runs(runs)`, `feed(news)`, `await follow()`.

    A run is anything with `id`, `events(offset)` and `status()`. Each is read from where the last read
    ended, and two that follow at once take no event twice.
    """

    live_runs: list[Any]
    offsets: dict[str, int]

    def follow_runs(self, runs: Iterable) -> None:
        """Follow these from now on, from their beginning."""
        self.live_runs = list(runs)
        self.offsets = {run.id: 0 for run in self.live_runs}

    def feed(self, news: dict[str, list[dict]]) -> None:
        """Take in new events, by run id."""
        raise NotImplementedError

    def look_at(self, statuses: dict[str, Any]) -> None:
        """Take in how the runs stand, by run id."""

    def rest(self) -> None:
        """Nothing more is to come."""

    async def tick(self) -> None:
        """Read what is new of every run, off the loop."""
        self._take(await asyncio.to_thread(self._read, self.live_runs, dict(self.offsets)))

    def catch_up(self) -> None:
        """Read what is new of every run now."""
        self._take(self._read(self.live_runs, dict(self.offsets)))

    async def follow(self) -> None:
        """Read at most twice a second, until every run has ended (see `Run.status`)."""
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
        """Hand on what was read, but for what another took in meanwhile."""
        fresh = {key: read for key, read in news.items() if self.offsets.get(key) == read[0]}
        self.offsets |= {key: end for key, (_, _, end) in fresh.items()}
        if any(events for _, events, _ in fresh.values()):
            self.feed({key: events for key, (_, events, _) in fresh.items()})
