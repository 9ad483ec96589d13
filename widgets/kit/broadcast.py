"""What is told to pages in one go, so that one that comes meanwhile hears all of it or nothing.

A widget is told after those that are in it. A page that comes in between hears of it alone, says "widget model not
found", and shows a hole in its place for as long as it is open. So what is made together is told together, and refers
to nothing that was told before: a page hears all of it, or learns of it when it asks for everything. What pages say may
be answered by threads of their own ("subshells"), beside the cells and the work in the background: one at a time, so that
nobody is told of what another has not told yet.
"""

import functools
import threading
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from typing import Any

Message = tuple[tuple[Any, ...], dict[str, Any]]  # what the operands of a sending were


class _OfThread(threading.local):
    held: list[Message] | None = None  # to be sent at the end of its block; None outside of one


_of_this_thread = _OfThread()
_turn = threading.Lock()


@contextmanager
def at_once() -> Iterator[None]:
    """Hold back what the block sends to pages until its end, and other blocks until then; what is printed does not wait.

    Example:
        >>> with at_once():  # where no kernel runs, nobody is told anything
        ...     pass
    """
    send = _sender()
    if send is None or _of_this_thread.held is not None:
        yield
        return
    with _turn:
        held = _of_this_thread.held = []
        try:
            yield
        finally:
            _of_this_thread.held = None
            for operands, options in held:
                send(*operands, **options)


class Steps:
    """A coroutine of which each step, from one wait to the next, is told at once: `await Steps(work())`.

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
    """What sends to every page, which from now on waits for a block; None where no kernel runs."""
    import IPython

    thread = getattr(getattr(IPython.get_ipython(), "kernel", None), "iopub_thread", None)
    if thread is None:
        return None
    send = thread.send_multipart

    def send_or_hold(*operands: Any, **options: Any) -> None:
        if (held := _of_this_thread.held) is None:
            send(*operands, **options)
        else:
            held.append((operands, options))

    thread.send_multipart = send_or_hold
    return send
