"""The one decorator of all compiled kernels: numba's compiler with a cache that may be lost at any time.

A cached kernel is one file under `cache_dir()/kernels`, a digest with this user's secret key in front. A file
that is cut, garbage or of other sources is compiled anew, and so is one that another user could have written.
A folder that cannot be written to costs that compilation in every process and stops nothing.

A kernel has copies of the kernels that it calls, which yield to those that are there already. Compiled after them it
runs them; loaded alone it would run its copies, which round otherwise. So their names are kept with it, and they are
loaded before it: the same seed has the same bits in the process that compiled and in all that load. Where two processes
have compiled at once a file may lie beside those of the other: what it was compiled after is not what is loaded, and it
is compiled anew.
"""

import functools
import hashlib
import importlib
import logging
import os
import stat
import sys
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import keyed_digest, read_bytes, read_pickle, secret_key, write_new
from qtha_lab.core.io.private import OTHERS_WRITE, private_folder
from qtha_lab.core.paths import kernels_dir, state_dir

KEY = "kernels.key"
log = logging.getLogger(__name__)


def compiled(function=None, *, counts: bool = True, **options: Any):
    """`numba.njit` without the GIL and with our cache.

    Args:
        function: To be compiled; None gives a decorator.
        counts: Whether it counts references to arrays, which takes time at every slice and is needed only where it makes or
            returns one of its own.
        options: As for `numba.njit`.
    """
    if function is None:
        return functools.partial(compiled, counts=counts, **options)
    options = {"nogil": True, "error_model": "numpy", "_nrt": counts} | options
    kernel: Any = numba.njit(**options)(function)
    kernel._cache = KernelCache(function)
    return kernel


Part = tuple[str, str, Any, str]  # a kernel's module, name, signature, and symbol for the linker
_by_library: dict[Any, Part] = {}  # every kernel of this process, by its code


class KernelCache(NullCache):
    """What numba asks for a kernel before it compiles, and gives what it has compiled.

    In the place of numba's own, which reads a damaged file as an error of the call, and keeps it.
    """

    def __init__(self, function):
        self.module, self.function = function.__module__, function.__qualname__
        self.name = f"{self.module}.{self.function}"

    def load_overload(self, sig, target_context) -> CompileResult | None:
        """The kernel for a signature, or None if there is no whole one."""
        target_context.refresh()
        try:
            path = self._path(sig, target_context.codegen())
            parts, data = read_pickle(path, secret_key(state_dir() / KEY))
            for part in parts:
                _load(part)
            result = CompileResult._rebuild(target_context, *data)
            self._note(sig, result)
            return result
        except (
            Exception
        ) as wrong:  # whatever is wrong with a file: it is compiled anew, and replaced
            log.debug("%s is compiled anew: %r", self.name, wrong)
            return None

    def save_overload(self, sig, data: CompileResult) -> None:
        """Keep a kernel for the next process, if that is possible."""
        self._note(sig, data)
        called = data.library._linking_libraries
        parts = [_by_library[library] for library in called if library in _by_library]
        try:
            _write_whole(self._path(sig, data.codegen), dumps((parts, data._reduce())))
        except Exception as reason:  # the kernel is there; only its copy is not
            log.debug("%s is not kept on disk: %r", self.name, reason)

    def _note(self, sig, result: CompileResult) -> None:
        symbol = result.fndesc.mangled_name
        _by_library[result.library] = self.module, self.function, sig, symbol

    def _path(self, sig, codegen) -> Path:
        """A file for each kernel, signature, processor and version of all that makes it."""
        made_by = (sources(), numba.__version__, llvmlite.__version__, sys.version)
        key = repr((self.name, sig, codegen.magic_tuple(), made_by))
        name = self.name.rpartition(".")[2]
        return kernels_dir() / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.kernel"


def _load(part: Part) -> None:
    """Have a kernel at hand that another calls.

    Raises:
        ValueError: If it is not the one that was at hand when the other was compiled.
    """
    module, name, sig, symbol = part
    kernel = getattr(importlib.import_module(module), name)
    kernel.compile(sig)
    if kernel.overloads[sig].fndesc.mangled_name != symbol:
        raise ValueError(f"{name} has been compiled anew since")


def cache_fault() -> str:
    """What every process pays because kernels cannot be kept on disk, found by trying; empty where they can."""
    folder = None
    try:
        folder = kernels_dir()
        probe = folder / f"probe-{os.getpid()}.kernel"
        _write_whole(probe, b"")
        probe.unlink()
    except (OSError, RuntimeError, Refusal) as fault:  # RuntimeError: there is no home folder
        reason = getattr(fault, "strerror", None) or str(fault)
        return (
            f"{folder or 'a cache of kernels'} cannot be written to ({reason}): "
            "a kernel that is not there is compiled anew by every process"
        )
    return ""


@functools.cache
def sources() -> str:
    """A digest of every file that kernels are written in."""
    paths = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(read_bytes(path) for path in paths)).hexdigest()


def _write_whole(path: Path, payload: bytes) -> None:
    """Write all of the file or nothing, also beside others who write the same."""
    content = keyed_digest(secret_key(state_dir() / KEY), path.name, payload) + payload
    _close_to_others(path.parent)
    part = path.with_suffix(f".{os.getpid()}")
    part.unlink(missing_ok=True)
    try:
        write_new(part, content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _close_to_others(folder: Path) -> None:
    """Create the cache folder, or take other users' right to write away from it."""
    private_folder(folder, others=0)
    mode = stat.S_IMODE(folder.lstat().st_mode)
    if mode & OTHERS_WRITE:
        folder.chmod(mode & ~OTHERS_WRITE)
