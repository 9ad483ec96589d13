"""Run the newest request in a thread, and show its result on the event loop.

A slider sends requests faster than figures are drawn; intermediate requests are skipped.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from .loop import Background, on_loop


class Latest:
    """A worker for which `latest.ask()` computes from the newest `request()` and shows the result.

    Without a running loop (a plain script) all of it happens at once.

    Args:
        request: Returns the input of `compute`; called on the loop.
        compute: Maps a request to a result, in a thread.
        show: Receives a result, on the loop.
        background: Provides the loop; exceptions go to its `on_error`.

    Example:
        >>> requests = iter([1, 2])
        >>> latest = Latest(lambda: next(requests), lambda n: 10 * n, print, Background(print))
        >>> latest.ask(), latest.ask()
        10
        20
        (None, None)
    """

    def __init__(
        self,
        request: Callable[[], Any],
        compute: Callable[[Any], Any],
        show: Callable[[Any], None],
        background: Background,
    ):
        self.request, self.compute, self.show = request, compute, show
        self.background = background
        self.waiting = self.busy = False

    def ask(self) -> None:
        """Schedule the newest request; a request that waits already covers this one too."""
        loop = self.background.loop
        if loop is None or not loop.is_running():
            self._now()
        else:
            on_loop(loop, self._ask)

    def _ask(self) -> None:
        self.waiting = True
        if not self.busy:
            self.busy = True
            self.background.start("latest", self._answer)

    def _now(self) -> None:
        try:
            self.show(self.compute(self.request()))
        except Exception as error:
            self.background.on_error(error)

    async def _answer(self) -> None:
        try:
            while self.waiting:
                self.waiting = False
                try:
                    result = await asyncio.to_thread(self.compute, self.request())
                    self.show(result)
                except Exception as error:
                    if not self.waiting:  # a newer request replaces this one
                        self.background.on_error(error)
        finally:
            self.busy = False
