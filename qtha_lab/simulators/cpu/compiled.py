"""The one decorator of all compiled kernels: numba's compiler with a cache that may be lost at any time.

A cached kernel is one file under `cache_dir()/kernels`, its SHA-256 in front. A file that is cut,
garbage or of other sources is thrown away and compiled anew; a folder that cannot be written to costs
that compilation in every process and stops nothing.

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
import pickle
import sys
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from qtha_lab.paths import kernels_dir

DIGEST_BYTES = 32
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
            payload = _read_whole(self._path(sig, target_context.codegen()))
            parts, data = pickle.loads(payload)
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
    except (OSError, RuntimeError) as fault:  # RuntimeError: there is no home folder
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
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def _read_whole(path: Path) -> bytes:
    content = path.read_bytes()
    digest, payload = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if hashlib.sha256(payload).digest() != digest:
        raise ValueError(f"{path} is damaged")
    return payload


def _write_whole(path: Path, payload: bytes) -> None:
    """All of the file or nothing, also beside others who write the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    try:
        part.write_bytes(hashlib.sha256(payload).digest() + payload)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
