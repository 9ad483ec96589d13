"""Measurements beside the losses: a failure becomes a note, and the run goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from qtha_lab.core.errors import message_of
from qtha_lab.experiment.run_directory import disk
from qtha_lab.training.evaluation import Interrupted

log = logging.getLogger(__name__)
Note = Callable[[str], None]


@contextmanager
def optional_measurement(name: str, note: Note) -> Iterator[None]:
    """Suppress an error of the block, and pass a sentence about it to `note`.

    A stop request and a full disk are raised.

    Args:
        name: Name of the measurement, in the plural.
        note: Receives the sentence.
    """
    try:
        yield
    except Interrupted:
        raise
    except Exception as problem:
        if disk.is_full(problem):
            raise
        log.warning("%s are left out", name, exc_info=problem)
        note(f"{name} are left out: {type(problem).__name__}: {message_of(problem)}")
