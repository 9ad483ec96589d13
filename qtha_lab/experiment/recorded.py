"""Kind of description in a run directory: a fine-tune or a reproduction arm."""

from __future__ import annotations

import logging
from pathlib import Path

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read_bytes
from qtha_lab.experiment.serialisation import LONGEST

log = logging.getLogger(__name__)

MARK = b"reproduction:"  # start of a line in the description of an arm


def is_arm(file: Path) -> bool:
    """Return True if a description belongs to an arm of a reproduction.

    False if the file cannot be read; its reader reports the error.
    """
    try:
        lines = read_bytes(file, LONGEST).splitlines()
    except (OSError, Refusal) as error:
        log.debug("%s cannot be read: %s", file, error)
        return False
    return any(line.startswith(MARK) for line in lines)
