"""Convert errors of other libraries on foreign model files to refusals."""

from collections.abc import Iterator
from contextlib import contextmanager

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened

OWN_ERRORS = (Refusal, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError)
OUT_OF_MEMORY = "OutOfMemoryError"


@contextmanager
def refusing(rule: str, remedy: str) -> Iterator[None]:
    """Refuse a file on which the block raises an error.

    `tokenizers` raises `BaseException` on a panic, so `BaseException` is caught.

    Example:
        >>> with refusing("config.json must describe a model", "Correct the file."):
        ...     1 // 0
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: config.json must describe a model, got ZeroDivisionError: ...
    """
    try:
        yield
    except OWN_ERRORS:
        raise
    except BaseException as problem:
        if type(problem).__name__ == OUT_OF_MEMORY:
            raise
        line = next(iter(str(problem).strip().splitlines()), "")
        reason = shortened(f"{type(problem).__name__}: {line}".rstrip(": ."), 110)
        raise Refusal(f"{rule}, got {reason}. {remedy}") from problem
