"""The time of the last page connection; no widget closes while a page loads.

JupyterLab logs "Comm not found" for a widget that is closed while a page loads. For one that is
closed while it requests all widgets, it waits without end and shows no panel. No message marks the
beginning of a load. So widgets are closed right after a message that a loading page does not send,
or when no page has sent one for long.
"""

import asyncio
import functools
import heapq
import itertools
import logging
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import zmq
from zmq.eventloop.zmqstream import ZMQStream

from .broadcast import at_once
from .kernel_patches import on_connection, wrap_handlers
from .loop import kernel_loop, on_loop

log = logging.getLogger(__name__)
HEARD_SECONDS = 1.0  # after a page's message; a reload takes longer
GONE_SECONDS = 30.0  # after which no page is open, or a reload has long begun
SETTLED_SECONDS = 60.0  # until a new page has its panels, also on a busy machine
QUIET_SECONDS = 0.2  # before a widget is closed, so that the kernel handles messages
LATE_SECONDS = 0.2  # maximum delay of that wait; a longer one means that the kernel was busy
# Requests of a page that loads or creates widgets, also after a busy kernel
REQUESTS = ("kernel_info_request", "comm_info_request", "comm_open", "comm_msg", "execute_request")

_came = _heard = -math.inf
_waiting: list[tuple[float, int, Callable[[], None]]] = []  # heap, the next entry first
_number = itertools.count()
_worker: asyncio.Task[None] | None = None


def later(seconds: float, close: Callable[[], None]) -> bool:
    """Close something later, when no page is loading; return False without a kernel."""
    loop = kernel_loop()
    if loop is None or not watch():
        return False
    on_loop(loop, _wait_for, (time.monotonic() + seconds, next(_number), close))
    return True


def _wait_for(entry: tuple[float, int, Callable[[], None]]) -> None:
    """Queue an entry on the kernel's loop, and start the task that closes."""
    global _worker
    heapq.heappush(_waiting, entry)
    if _worker is None or _worker.done():
        _worker = asyncio.get_running_loop().create_task(_close_all())


async def _close_all() -> None:
    """Close the entries one by one; messages of a new page are handled in between."""
    while _waiting:
        await _wait_for_end()
        *_, close = heapq.heappop(_waiting)
        try:
            with at_once():
                close()
        except Exception:
            log.exception("something that a panel replaced could not be closed")


async def _wait_for_end() -> None:
    """Wait until an entry is due, no page loads and the kernel is idle."""
    late = math.inf
    while late > LATE_SECONDS or not _is_time():
        end = time.monotonic() + QUIET_SECONDS
        await asyncio.sleep(QUIET_SECONDS)
        late = time.monotonic() - end


def _is_time() -> bool:
    now = time.monotonic()
    is_there = not HEARD_SECONDS < now - _heard < GONE_SECONDS
    return is_there and now >= max(_waiting[0][0], _came + SETTLED_SECONDS)


@functools.cache
def watch() -> bool:
    """Record every page that connects from now on; return False without a kernel."""
    if not wrap_handlers(REQUESTS, _noting):
        return False
    on_connection(_listen)
    return True


def _noting(answer: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a message handler to record the sender; widget events are answered as one block."""

    def noted(*operands: Any) -> Any:
        message = operands[-1]
        if _is_of_a_page_that_comes(message):
            _note()
        else:
            _hear()
        with at_once() if message["header"]["msg_type"] == "comm_msg" else nullcontext():
            return answer(*operands)

    return noted


def _note(*_: Any) -> None:
    global _came
    _came = time.monotonic()


def _hear() -> None:
    global _heard
    _heard = time.monotonic()


def _listen(thread: Any) -> None:
    """Record each connection to the IOPub socket, which a page opens before its first request."""
    connections = thread.socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
    ZMQStream(connections, thread.io_loop).on_recv(_note)


def _is_of_a_page_that_comes(message: Any) -> bool:
    kind = message["header"]["msg_type"]
    if kind == "comm_msg":
        return message["content"].get("data", {}).get("method") in (
            "request_state",
            "request_states",
        )
    return kind != "execute_request"
