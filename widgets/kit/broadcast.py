"""Messages to pages sent as one block, which a new page receives completely.

A widget is sent after the widgets that it contains. A page that connects in between receives the
outer widget alone. It reports "widget model not found" and shows a gap until it is closed. So
widgets that are made together are sent together, and refer to nothing that was sent earlier. A page
receives all of them, or learns of them when it requests all widgets. Threads ("subshells") may
answer messages of pages beside the cells and background tasks. They send one block at a time, so no
page receives a reference to a widget that is not sent yet.
"""

import functools
import threading
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from typing import Any

from .kernel_patches import intercept_sending

Message = tuple[tuple[Any, ...], dict[str, Any]]  # arguments of a send call


class _OfThread(threading.local):
    held: list[Message] | None = None  # to send at the end of the block; None outside


_of_this_thread = _OfThread()
_lock = threading.Lock()


@contextmanager
def at_once() -> Iterator[None]:
    """Send all messages of the block to pages together at its end.

    Other blocks wait until then. Printed output is not held.

    Example:
        >>> with at_once():  # where no kernel runs, nobody is told anything
        ...     pass
    """
    send = _sender()
    if send is None or _of_this_thread.held is not None:
        yield
        return
    with _lock:
        held = _of_this_thread.held = []
        try:
            yield
        finally:
            _of_this_thread.held = None
            for operands, options in held:
                send(*operands, **options)


class Steps:
    """A coroutine that sends the messages of each step as one block: `await Steps(work())`.

    A step lasts from one `await` to the next.

    Example:
        >>> import asyncio
        >>> async def work():
        ...     await asyncio.sleep(0)
        ...     return 2
        >>> async def main():
        ...     return await Steps(work())
        >>> asyncio.run(main())
        2
    """

    def __init__(self, work: Coroutine[Any, Any, Any]):
        self.work = work

    def __await__(self) -> Generator[Any, Any, Any]:
        step: Callable[[Any], Any] = self.work.send
        answer: Any = None
        while True:
            try:
                with at_once():
                    waited_for = step(answer)
            except StopIteration as end:
                return end.value
            try:
                step, answer = self.work.send, (yield waited_for)
            except GeneratorExit:
                self.work.close()
                raise
            except BaseException as error:
                step, answer = self.work.throw, error


@functools.cache
def _sender() -> Callable[..., None] | None:
    """Return the function that sends to every page, or None without a kernel.

    From the first call on, messages inside a block are held until its end.
    """
    return intercept_sending(_hold)


def _hold(operands: tuple[Any, ...], options: dict[str, Any]) -> bool:
    """Keep a message of a block; return False outside a block."""
    held = _of_this_thread.held
    if held is not None:
        held.append((operands, options))
    return held is not None
