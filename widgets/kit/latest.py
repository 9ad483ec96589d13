"""Latest wins: work in a thread of which only the newest request waits, and its result shown on the loop.

A slider asks faster than figures are drawn; whatever it asked for in between is never worked on.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from .loop import Background, on_loop


class Latest:
    """`latest.ask()` computes from what `request()` says when its turn comes, then shows that.

    Where no loop runs (a plain script) all of it happens at once.

    Args:
        request: What to compute from, asked on the loop.
        compute: From a request to a result, in a thread.
        show: Takes a result, on the loop.
        background: Whose loop it is; what goes wrong is handed to its `on_error`.

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
        """Have the newest request answered; one that waits already does for this one too."""
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
                    if not self.waiting:  # else a newer request stands in its place
                        self.background.on_error(error)
        finally:
            self.busy = False
