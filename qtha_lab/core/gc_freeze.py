"""Garbage-collection freeze for processes that only use large libraries."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def frozen_garbage() -> Iterator[None]:
    """Disable garbage collection during imports, and exempt all present objects from it afterwards.

    One collection over torch, transformers and PEFT takes half a second. Trainer and the memory
    count trigger several. For processes of the package, not for a notebook's.

    Example:
        >>> before = gc.get_freeze_count()
        >>> with frozen_garbage():
        ...     import statistics
        >>> gc.get_freeze_count() > before
        True
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
