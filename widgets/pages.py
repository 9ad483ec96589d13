"""When a page last came to this kernel: until it has asked for all widgets, it complains of each that is closed.

JupyterLab says "Comm not found" on its console of a widget that is closed before it has heard of it, as while it is loaded anew.
"""

import asyncio
import functools
import logging
import math
import time
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)
SETTLED_SECONDS = 60.0  # until a page that came has its panels, on a busy machine too

_came = -math.inf


def later(seconds: float, close: Callable[[], None]) -> bool:
    """Close something after a while, as soon as no page is on its way; False where no kernel's loop runs to do it.

    Args:
        seconds: To wait at least.
        close: What is done then.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        log.debug("no event loop runs: nothing is closed later")
        return False
    if not watch():
        return False

    def when_settled() -> None:
        wait = _came + SETTLED_SECONDS - time.monotonic()
        if wait > 0:
            loop.call_later(wait, when_settled)
        else:
            close()

    loop.call_later(seconds, when_settled)
    return True


@functools.cache
def watch() -> bool:
    """Note every page that comes from now on; False where no kernel runs, to which none comes."""
    import IPython

    handlers = getattr(getattr(IPython.get_ipython(), "kernel", None), "shell_handlers", {})
    answer = handlers.get("kernel_info_request")  # what every page asks first
    if answer is None:
        return False

    def noted(*args: Any) -> Any:
        global _came
        _came = time.monotonic()
        return answer(*args)

    handlers["kernel_info_request"] = noted
    return True
