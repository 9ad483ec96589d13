"""When a page last came to this kernel: until it has asked for all widgets, it complains of each that is closed.

JupyterLab says "Comm not found" on its console of a widget that is closed before it has heard of it, as while it is loaded anew.
"""

import functools
import math
import time
from typing import Any

SETTLED_SECONDS = 60.0  # until a page that came has its panels, on a busy machine too

_came = -math.inf


def settling() -> float:
    """Seconds until the page that came last has all panels; 0 where none is on its way."""
    return max(0.0, _came + SETTLED_SECONDS - time.monotonic())


@functools.cache
def watch() -> bool:
    """Have settling know of every page from now on; False where no kernel runs, to which none comes."""
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
