"""What the description in a run's directory is of: a fine-tune, or an arm of a reproduction. Reads its first lines."""

from __future__ import annotations

import logging
from pathlib import Path

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read_bytes
from qtha_lab.experiment.serialisation import LONGEST

log = logging.getLogger(__name__)

MARK = b"reproduction:"  # begins a line of the description of an arm


def is_arm(file: Path) -> bool:
    """Whether a description is that of an arm of a reproduction; no if it cannot be read, whose reader says why."""
    try:
        lines = read_bytes(file, LONGEST).splitlines()
    except (OSError, Refusal) as error:
        log.debug("%s cannot be read: %s", file, error)
        return False
    return any(line.startswith(MARK) for line in lines)
