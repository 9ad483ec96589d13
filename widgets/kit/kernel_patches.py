"""Patches of internals of ipykernel and ipywidgets, each with a guard, in one place.

Without the expected internals a patch does nothing: panels then work, but a page that is loaded at
an unlucky moment may show a gap until it is loaded again.
"""

import functools
import logging
from collections.abc import Callable
from typing import Any

from ipywidgets.widgets import widget as ipywidgets_widget

log = logging.getLogger(__name__)


def running_kernel() -> Any:
    """Return the kernel of this process, or None without one."""
    import IPython

    return getattr(IPython.get_ipython(), "kernel", None)


def open_widgets() -> list[Any]:
    """Return every widget that is sent to a reloaded page.

    ipywidgets 8 keeps them in `_instances`; another version gives an empty list.
    """
    instances = getattr(ipywidgets_widget, "_instances", None)
    return list(instances.values()) if isinstance(instances, dict) else []


def intercept_sending(hold: Callable[..., bool]) -> Callable[..., None] | None:
    """Pass every message to pages to `hold`, and send the rest.

    Args:
        hold: Called with the arguments of a send; True if it keeps the message.

    Returns:
        The function that sends; None without ipykernel's `iopub_thread.send_multipart`.
    """
    thread = getattr(running_kernel(), "iopub_thread", None)
    send = getattr(thread, "send_multipart", None)
    if thread is None or send is None:
        return None

    @functools.wraps(send)
    def send_or_hold(*operands: Any, **options: Any) -> None:
        if not hold(operands, options):
            send(*operands, **options)

    thread.send_multipart = send_or_hold
    return send


def wrap_handlers(names: tuple[str, ...], wrap: Callable[[Callable], Callable]) -> bool:
    """Wrap ipykernel's handlers of these requests; return False without a kernel."""
    kernel = running_kernel()
    handlers = getattr(kernel, "shell_handlers", None)
    if kernel is None:
        return False
    if not isinstance(handlers, dict):
        log.debug("requests of pages are not noticed: the kernel has no shell_handlers")
        return True
    for name in names:
        if answer := handlers.get(name):
            handlers[name] = wrap(answer)
    return True


def on_connection(call: Callable[[Any], None]) -> None:
    """Call a function in the kernel's IOPub thread with that thread, if there is one."""
    thread = getattr(running_kernel(), "iopub_thread", None)
    if thread is not None and hasattr(thread, "schedule") and hasattr(thread, "socket"):
        thread.schedule(functools.partial(call, thread))
