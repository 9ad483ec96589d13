"""What a run takes on the disk."""

from __future__ import annotations

import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)


def bytes_used(folder: str | Path) -> int:
    """Bytes of all files in a folder and below it; links are not followed, what vanishes meanwhile counts nothing."""
    total, folders = 0, [str(folder)]
    while folders:
        place = folders.pop()
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError as reason:
            log.debug("%s is not counted: %s", place, reason)
    return total
