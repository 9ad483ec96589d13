"""What a run takes on the disk."""

from __future__ import annotations

import os
from pathlib import Path


def bytes_used(folder: str | Path) -> int:
    """Bytes of all files in a folder and below it; links are not followed, what vanishes counts nothing."""
    total, folders = 0, [str(folder)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return total
