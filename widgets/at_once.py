"""What is told to pages in one go, so that one that comes meanwhile hears all of it or nothing.

A widget is told after those that are in it. A page that comes in between hears of it alone, says "widget model not
found", and shows a hole in its place for as long as it is open.
"""

import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

HELD_SECONDS = 0.3  # at most: what is said of long work is seen while it goes on

_block: "_Block | None" = None


class _Block:
    """What was to be sent since it began, by the thread that began it."""

    def __init__(self, send: Callable[..., None]):
        self.send, self.thread = send, threading.get_ident()
        self.began, self.held = time.monotonic(), []

    def take(self, message: tuple[tuple[Any, ...], dict[str, Any]]) -> None:
        """Hold a message back, unless those before have waited long."""
        self.held.append(message)
        if time.monotonic() > self.began + HELD_SECONDS:
            self.let_go()

    def let_go(self) -> None:
        """Send everything, one right after the other."""
        held, self.held, self.began = self.held, [], time.monotonic()
        for operands, options in held:
            self.send(*operands, **options)


@contextmanager
def at_once() -> Iterator[None]:
    """Hold back what the block's thread sends to pages until its end, or for `HELD_SECONDS`; what is printed does not wait.

    Example:
        >>> with at_once():  # where no kernel runs, nobody is told anything
        ...     pass
    """
    global _block
    send = _sender()
    if send is None or _block is not None:
        yield
        return
    _block = _Block(send)
    try:
        yield
    finally:
        block, _block = _block, None
        block.let_go()


@functools.cache
def _sender() -> Callable[..., None] | None:
    """What sends to every page, which from now on waits for a block; None where no kernel runs."""
    import IPython

    thread = getattr(getattr(IPython.get_ipython(), "kernel", None), "iopub_thread", None)
    if thread is None:
        return None
    send = thread.send_multipart

    def send_or_hold(*operands: Any, **options: Any) -> None:
        block = _block
        if block is not None and block.thread == threading.get_ident():
            block.take((operands, options))
        else:
            send(*operands, **options)

    thread.send_multipart = send_or_hold
    return send
