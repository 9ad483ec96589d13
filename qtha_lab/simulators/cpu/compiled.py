"""Decorator of all compiled kernels: numba's compiler with a disposable disk cache.

A cached kernel is one file under `cache_dir()/kernels`; it starts with a digest keyed by this
user's secret key. A file that is truncated, damaged, from other sources or written by another user
is ignored, and the kernel is compiled again. Without write access every process compiles for
itself.

A kernel contains copies of the kernels that it calls, but kernels already loaded take precedence.
The copies may round differently. So the file names the called kernels, and they are loaded first:
the same seed gives the same bits in the process that compiled and in all that load. If two
processes compile at once, a file may refer to called kernels other than those on disk. Then it is
compiled again.
"""

import functools
import hashlib
import importlib
import logging
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import (
    keyed_digest,
    read_bytes,
    read_pickle,
    remove,
    secret_key,
    write_atomically,
)
from qtha_lab.core.io.signed import OTHERS_WRITE, private_folder
from qtha_lab.core.patches import replace_kernel_cache
from qtha_lab.core.paths import kernels_dir, state_dir
from qtha_lab.core.reader_page import in_notebook

KEY = "kernels.key"
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


def compiled(function=None, *, counts: bool = True, **options: Any):
    """Compile a function with `numba.njit`, without the GIL and with the disk cache.

    Args:
        function: Function to compile; None returns a decorator.
        counts: Whether to count references to arrays. Counting costs time at every slice; only a
            function that creates or returns an array needs it.
        options: As for `numba.njit`.
    """
    if function is None:
        return functools.partial(compiled, counts=counts, **options)
    options = {"nogil": True, "error_model": "numpy", "_nrt": counts} | options
    kernel: Any = numba.njit(**options)(function)
    replace_kernel_cache(kernel, KernelCache(function))
    return kernel


Part = tuple[str, str, Any, str]  # a kernel's module, name, signature, and symbol for the linker
_by_library: dict[Any, Part] = {}  # every kernel of this process, by its code


class KernelCache(NullCache):
    """Disk cache of one kernel, in place of numba's own.

    numba's cache raises an error in the call for a damaged file, and keeps the file.
    """

    def __init__(self, function):
        self.module, self.function = function.__module__, function.__qualname__
        self.name = f"{self.module}.{self.function}"

    def load_overload(self, sig, target_context) -> CompileResult | None:
        """Load the kernel of a signature; return None without a valid file."""
        target_context.refresh()
        try:
            path = self._path(sig, target_context.codegen())
            if not path.exists():
                announce()
                return None
            parts, data = read_pickle(path, secret_key(state_dir() / KEY))
            for part in parts:
                _load(part)
            result = CompileResult._rebuild(target_context, *data)
            self._note(sig, result)
            return result
        except (
            Exception
        ) as wrong:  # any fault of the file: the kernel is compiled again, and the file replaced
            log.debug("%s is compiled again: %r", self.name, wrong)
            return None

    def save_overload(self, sig, data: CompileResult) -> None:
        """Save a kernel for later processes, if possible."""
        self._note(sig, data)
        count(self.function)
        called = data.library._linking_libraries
        parts = [_by_library[library] for library in called if library in _by_library]
        try:
            _write_whole(self._path(sig, data.codegen), dumps((parts, data._reduce())))
        except Exception as reason:  # the kernel works in this process; only the file is missing
            log.debug("%s is not stored on disk: %r", self.name, reason)

    def _note(self, sig, result: CompileResult) -> None:
        symbol = result.fndesc.mangled_name
        _by_library[result.library] = self.module, self.function, sig, symbol

    def _path(self, sig, codegen) -> Path:
        """Return the file of a kernel, signature, processor, and version of sources and tools."""
        versions = (sources(), numba.__version__, llvmlite.__version__, sys.version)
        key = repr((self.name, sig, codegen.magic_tuple(), versions))
        name = self.name.rpartition(".")[2]
        return kernels_dir() / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.kernel"


def _load(part: Part) -> None:
    """Load or compile a kernel that another kernel calls.

    Raises:
        ValueError: If its symbol differs from the one the calling kernel was compiled with.
    """
    module, name, sig, symbol = part
    kernel = getattr(importlib.import_module(module), name)
    kernel.compile(sig)
    if kernel.overloads[sig].fndesc.mangled_name != symbol:
        raise ValueError(f"{name} has been compiled again since")


def cache_fault() -> str:
    """Try to write to the kernel cache; return a description of a fault, or ""."""
    folder = None
    try:
        folder = kernels_dir()
        probe = folder / f"probe-{os.getpid()}.kernel"
        _write_whole(probe, b"")
        remove(probe)
    except (OSError, RuntimeError, Refusal) as fault:  # RuntimeError: there is no home folder
        reason = getattr(fault, "strerror", None) or str(fault)
        return (
            f"{folder or 'a cache of kernels'} cannot be written to ({reason}): "
            "every process compiles missing kernels again"
        )
    return ""


@functools.cache
def sources() -> str:
    """Return a digest of all source files of the kernels."""
    paths = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(read_bytes(path) for path in paths)).hexdigest()


def _write_whole(path: Path, payload: bytes) -> None:
    """Write a file atomically, also if other processes write the same file."""
    content = keyed_digest(secret_key(state_dir() / KEY), path.name, payload) + payload
    _close_to_others(path.parent)
    write_atomically(path, content, mode=0o600)


def _close_to_others(folder: Path) -> None:
    """Create the cache folder, and remove other users' write permission."""
    private_folder(folder, others=0)
    mode = stat.S_IMODE(folder.lstat().st_mode)
    if mode & OTHERS_WRITE:
        folder.chmod(mode & ~OTHERS_WRITE)
