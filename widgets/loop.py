"""Work beside the notebook: tasks on the kernel's own event loop, blocking calls in a thread.

A button's callback may come from another thread or while a cell is busy, so callbacks only hand work over here.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from .at_once import Steps
from .guard import OnError
from .libraries import libraries

log = logging.getLogger(__name__)


class Background:
    """Runs coroutines on the loop it was made on; what goes wrong is handed to `on_error`, never printed.

    Where no loop runs (a plain script), nothing is started: `await` the coroutines yourself.
    """

    def __init__(self, on_error: OnError):
        self.on_error = on_error
        self.tasks: dict[str, asyncio.Task] = {}
        try:
            self.loop = asyncio.get_running_loop()
        except RuntimeError:
            log.debug("no event loop runs: panels do not follow by themselves")
            self.loop = None
        self.thread = threading.get_ident()

    @property
    def runs(self) -> bool:
        """Whether there is a loop to work on."""
        return self.loop is not None and self.loop.is_running()

    def start(self, name: str, work: Callable[[], Coroutine]) -> None:
        """Start `work()` as the task of that name, told step by step; an earlier one of the same name is cancelled."""
        if self.loop is None or self.loop.is_closed():
            return
        if threading.get_ident() == self.thread:
            self._start(self.loop, name, work)
        else:
            self.loop.call_soon_threadsafe(self._start, self.loop, name, work)

    def start_once(self, name: str, work: Callable[[], Coroutine]) -> None:
        """Start `work()` unless the task of that name still goes on, so that a double click does a thing once."""
        if name not in self.tasks:
            self.start(name, work)

    def cancel(self, name: str) -> None:
        """Cancel the task of that name, if it still goes on."""
        if task := self.tasks.get(name):
            task.cancel()

    def stop(self) -> None:
        """Cancel everything that still goes on."""
        for task in self.tasks.values():
            task.cancel()

    def _start(
        self, loop: asyncio.AbstractEventLoop, name: str, work: Callable[[], Coroutine]
    ) -> None:
        if (running := self.tasks.get(name)) is not None:
            running.cancel()
        task = self.tasks[name] = loop.create_task(self._guarded(work))
        task.add_done_callback(
            lambda _: self.tasks.pop(name) if self.tasks.get(name) is task else None
        )

    async def _guarded(self, work: Callable[[], Coroutine]) -> None:
        try:
            await Steps(work())
        except Exception as error:
            self.on_error(error)


async def with_libraries(work: Callable, *arguments: Any) -> Any:
    """`work(*arguments)` in a thread, once transformers and PEFT are there: for all that may import them."""
    await libraries()
    return await asyncio.to_thread(work, *arguments)


async def in_thread(work: Callable, *arguments: Any) -> Any:
    """`work(*arguments, cancelled)` as `with_libraries`; `cancelled()` is true once nobody waits for it.

    A thread cannot be stopped from outside: long work asks between its stages, and ends itself.
    """
    cancelled = threading.Event()
    try:
        return await with_libraries(work, *arguments, cancelled.is_set)
    finally:
        cancelled.set()
