"""Tasks on the kernel's own event loop, and blocking calls in a thread.

A button's callback may come from another thread or while a cell is busy, so callbacks only schedule
tasks here. Threads with loops of their own ("subshells") may answer messages of pages; they end
when the page is reloaded.

transformers and PEFT are imported in one thread, while cells wait: both import themselves in a
circle, and a second thread would get an incomplete module ("cannot import name 'AutoModel'").
"""

import asyncio
import gc
import importlib
import logging
import threading
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

from IPython.core.getipython import get_ipython

from .boxes import OnError

log = logging.getLogger(__name__)

NAMES = ("transformers", "peft", "qtha_lab.adapters", "qtha_lab.simulators")
_loaded = threading.Event()
_asked = False


async def libraries() -> None:
    """Wait until the libraries are imported; a cancelled caller does not stop the import.

    Must run on the loop that runs cells.
    """
    global _asked
    if not _asked:
        _asked = True
        shell = get_ipython()
        if shell is not None:
            shell.events.register("pre_run_cell", _wait)
        threading.Thread(target=_load, name="libraries", daemon=True).start()
    if not _loaded.is_set():
        await asyncio.to_thread(_loaded.wait)


def _wait(_cell: Any) -> None:
    _loaded.wait()
    if shell := get_ipython():
        shell.events.unregister("pre_run_cell", _wait)  # later cells need no wait


def _load() -> None:
    was_enabled = gc.isenabled()
    gc.disable()  # imported objects persist; garbage collection took a quarter of the time
    try:
        for name in NAMES:
            importlib.import_module(name)
    except Exception as fault:  # the task that needs the library will report the error
        log.warning("the libraries are not loaded: %r", fault)
    finally:
        if was_enabled:
            gc.enable()
        _loaded.set()


# the loop of a task that called a function in a thread
_caller: ContextVar[asyncio.AbstractEventLoop | None] = ContextVar("caller", default=None)


def kernel_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop that runs the kernel's cells, from any thread.

    Without a kernel, return the loop of this thread or of the task that called it, or None.
    """
    import IPython

    kernel = getattr(IPython.get_ipython(), "kernel", None)
    if (of_kernel := getattr(kernel, "io_loop", None)) is not None:
        return of_kernel.asyncio_loop
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        log.debug("no event loop runs here: panels follow on the loop of the caller, if any")
        return _caller.get()


def on_loop(loop: asyncio.AbstractEventLoop, call: Callable[..., Any], *operands: Any) -> None:
    """Call a function on a loop: now if this thread runs that loop, else scheduled."""
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
    """A set of named coroutines on the kernel's loop; exceptions go to `on_error`.

    Without a running loop (a plain script) nothing is started: `await` the coroutines yourself.
    """

    def __init__(self, on_error: OnError):
        self.on_error = on_error
        self.tasks: dict[str, asyncio.Task] = {}
        self.loop = kernel_loop()

    def start(self, name: str, work: Callable[[], Coroutine]) -> None:
        """Start `work()` as the named task, and cancel an earlier task of that name."""
        self._on_loop(self._start, name, work)

    def start_once(self, name: str, work: Callable[[], Coroutine]) -> None:
        """Start `work()` unless the named task is running, so a double click has one effect."""
        self._on_loop(self._start_once, name, work)

    def cancel(self, name: str) -> None:
        """Cancel the named task if it is running."""
        self._on_loop(self._cancel, name)

    def stop(self) -> None:
        """Cancel all running tasks."""
        for name in list(self.tasks):
            self.cancel(name)

    def _on_loop(self, call: Callable[..., None], *operands: Any) -> None:
        if self.loop is not None and not self.loop.is_closed():
            on_loop(self.loop, call, *operands)

    def _start_once(self, name: str, work: Callable[[], Coroutine]) -> None:
        task = self.tasks.get(name)
        if task is None or task.done():
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
            await work()
        except Exception as error:
            self.on_error(error)


async def with_libraries(work: Callable, *arguments: Any) -> Any:
    """Call `work(*arguments)` in a thread after transformers and PEFT are imported.

    For every function that may import them.
    """
    await libraries()
    _caller.set(asyncio.get_running_loop())
    return await asyncio.to_thread(work, *arguments)


async def in_thread(work: Callable, *arguments: Any) -> Any:
    """Call `work(*arguments, cancelled)` like `with_libraries`, with a test for cancellation.

    `cancelled()` is true once the caller no longer waits. A thread cannot be stopped from outside,
    so a long function checks it between stages and returns.
    """
    cancelled = threading.Event()
    try:
        return await with_libraries(work, *arguments, cancelled.is_set)
    finally:
        cancelled.set()
