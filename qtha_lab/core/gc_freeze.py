"""Libraries that stay: a process that does nothing but use them need not look for garbage among them."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def settled() -> Iterator[None]:
    """For imports: nothing is collected meanwhile, and later collections pass over all that is there by then.

    One collection over torch, transformers and PEFT takes half a second; Trainer and the count of memory ask for
    several. For processes of our own, not for a notebook's.

    Example:
        >>> before = gc.get_freeze_count()
        >>> with settled():
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
