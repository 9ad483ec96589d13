"""A reader that reads new events of runs twice a second until all end.

Draws nothing; starts and stops nothing.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

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
