"""Engine `cpu`: numba kernels that process blocks of samples in each core's cache.

Also the notice of a compilation, and the refusal of a machine that cannot compile.
"""

import importlib.util
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from qtha_lab.core.errors import Refusal
from qtha_lab.core.reader_page import in_notebook
from qtha_lab.simulators import registry

log = logging.getLogger(__name__)

NOTICE = (
    "Engine 'cpu' compiles its kernels once on this machine, which takes up to a minute. "
    "`qtha-lab doctor --compile` compiles them beforehand."
)
Watcher = Callable[[int, str], None]  # receives the number of compiled kernels and the last name
_watchers: list[Watcher] = []
_compiled: list[str] = []
_once = threading.Lock()


def announce() -> None:
    """Log the notice before the first compilation of this process; show progress on a page."""
    if not _once.acquire(blocking=False):
        return
    if not _watchers:
        log.warning("%s", NOTICE)
    if in_notebook():
        _watchers.append(_page())


def count(name: str) -> None:
    """Count a compiled kernel, and show the progress."""
    _compiled.append(name)
    for watcher in _watchers:
        watcher(len(_compiled), name)


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Call a function after each kernel that is compiled in the block."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


def _page() -> Watcher:
    """Show a line on the page; return a function that updates it."""
    from IPython.display import display

    line = display({"text/plain": NOTICE}, raw=True, display_id=True)

    def update(number: int, name: str) -> None:
        if line is not None:
            line.update({"text/plain": f"{NOTICE} Compiled {number}: {name}."}, raw=True)

    return update


def compiler_refusal(fault: Exception) -> str:
    """Return the refusal of engine `cpu` for an error of numba."""
    message = " ".join(str(fault).split())
    return (
        "Engine 'cpu' must compile here, got an error of numba "
        f"({type(fault).__name__}: {message:.200}). Use engine='torch' or 'auto'."
    )


@registry.engine(
    "cpu", strength="the fastest on CPU tensors", auto=1, place=2, cpu_tensors_only=True
)
def load() -> registry.Engine:
    """Return the engine; its kernels are compiled when it checks its first circuit.

    Raises:
        Refusal: If numba is missing or broken.
    """
    if importlib.util.find_spec("numba") is None:
        raise Refusal(
            "Engine 'cpu' cannot be used: numba is missing. Run pip install numba, or use "
            "engine='torch'."
        )
    try:
        from qtha_lab.simulators.cpu import engine
    except Exception as fault:  # the compiler and its libraries may raise any exception
        raise Refusal(compiler_refusal(fault)) from fault
    return engine
