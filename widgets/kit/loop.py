"""Work beside the notebook: tasks on the kernel's own event loop, blocking calls in a thread.

A button's callback may come from another thread or while a cell is busy, so callbacks only hand work over here. What pages
say may be answered by threads that have loops of their own ("subshells"), and end when the page is loaded anew.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from .broadcast import Steps
from .guard import OnError
from .libraries import libraries

log = logging.getLogger(__name__)


def kernel_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that the kernel's cells run on, whichever thread asks; without a kernel the one that runs here, if any."""
    import IPython

    kernel = getattr(IPython.get_ipython(), "kernel", None)
    if (of_kernel := getattr(kernel, "io_loop", None)) is not None:
        return of_kernel.asyncio_loop
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        log.debug("no event loop runs: panels do not follow by themselves")
        return None


def on_loop(loop: asyncio.AbstractEventLoop, call: Callable[..., Any], *operands: Any) -> None:
    """Call on a loop: now where that is the loop that runs here, else as soon as it comes to it."""
    try:
        here = asyncio.get_running_loop() is loop
    except RuntimeError:
        log.debug("asked by a thread without a loop")
        here = False
    if here:
        call(*operands)
    else:
        loop.call_soon_threadsafe(call, *operands)


class Background:
    """Runs coroutines on the kernel's loop; what goes wrong is handed to `on_error`, never printed.

    Where no loop runs (a plain script), nothing is started: `await` the coroutines yourself.
    """

    def __init__(self, on_error: OnError):
        self.on_error = on_error
        self.tasks: dict[str, asyncio.Task] = {}
        self.loop = kernel_loop()

    def start(self, name: str, work: Callable[[], Coroutine]) -> None:
        """Start `work()` as the task of that name, told step by step; an earlier one of the same name is cancelled."""
        self._on_loop(self._start, name, work)

    def start_once(self, name: str, work: Callable[[], Coroutine]) -> None:
        """Start `work()` unless the task of that name still goes on, so that a double click does a thing once."""
        self._on_loop(self._start_once, name, work)

    def cancel(self, name: str) -> None:
        """Cancel the task of that name, if it still goes on."""
        self._on_loop(self._cancel, name)

    def stop(self) -> None:
        """Cancel everything that still goes on."""
        for name in list(self.tasks):
            self.cancel(name)

    def _on_loop(self, call: Callable[..., None], *operands: Any) -> None:
        if self.loop is not None and not self.loop.is_closed():
            on_loop(self.loop, call, *operands)

    def _start_once(self, name: str, work: Callable[[], Coroutine]) -> None:
        if name not in self.tasks:
            self._start(name, work)

    def _cancel(self, name: str) -> None:
        if task := self.tasks.get(name):
            task.cancel()

    def _start(self, name: str, work: Callable[[], Coroutine]) -> None:
        self._cancel(name)
        task = self.tasks[name] = asyncio.get_running_loop().create_task(self._guarded(work))
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
