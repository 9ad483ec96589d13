"""Memory of the notebook's kernel, for the page."""

import ctypes
import logging
import os

import psutil

log = logging.getLogger(__name__)


def memory_of(pid: int) -> int:
    """Return the bytes of a process; a page that n processes share counts as 1/n where known.

    Example:
        >>> memory_of(os.getpid()) > 2**20
        True
    """
    process = psutil.Process(pid)
    try:
        whole = process.memory_full_info()
    except psutil.AccessDenied as reason:
        log.debug("shared memory counts in full: %s", reason)
        whole = process.memory_info()
    return getattr(whole, "pss", 0) or whole.rss


def return_free_memory() -> None:
    """Return free heap pages to the system, where the C library is glibc.

    Timing the methods allocates some 50 MiB that glibc would keep.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError) as reason:  # another system or C library
        log.debug("this C library does not return free memory: %s", reason)


def memory_sentence() -> str:
    """Return the memory of this process in a sentence."""
    return_free_memory()
    return f"This notebook holds {_mib(memory_of(os.getpid()))} of memory."


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
