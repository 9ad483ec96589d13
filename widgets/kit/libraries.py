"""Import of transformers and PEFT in one thread beside the notebook, while cells wait.

Both packages import themselves in a circle. Python gives a second thread that imports them
meanwhile an incomplete module ("cannot import name 'AutoModel'"). So tasks that need them start
with `libraries`, and cells run after the import.
"""

import asyncio
import gc
import importlib
import logging
import threading
from typing import Any

from IPython.core.getipython import get_ipython

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
