"""Entry points of other packages in this environment, read once per `sys.path`.

Reading the metadata of every package takes 0.1 s.
"""

from __future__ import annotations

import functools
import importlib.metadata
import sys
from pathlib import Path
from typing import Any

from qtha_lab.core.paths import runs_dir


def entry_points(group: str) -> importlib.metadata.EntryPoints:
    """Return the entry points of a group, such as "qtha_lab.methods".

    They are read again after `sys.path` has changed. A package in the runs folder has none: its
    members would be imported without consent.

    Example:
        >>> names = [point.name for point in entry_points("pennylane.plugins")]
        >>> "qtha.cpu" in names
        True
    """
    runs = runs_dir().resolve()
    points = _all(tuple(sys.path)).select(group=group)
    return importlib.metadata.EntryPoints(point for point in points if not _is_below(point, runs))


def _is_below(point: importlib.metadata.EntryPoint, folder: Path) -> bool:
    """Return True for an entry point of a package that lies in a folder."""
    if point.dist is None:
        return False
    return Path(str(point.dist.locate_file(""))).resolve().is_relative_to(folder)


@functools.lru_cache(maxsize=4)
def _all(path: tuple[str, ...]) -> Any:  # `EntryPoints`, or its equivalent in Python 3.11
    return importlib.metadata.entry_points()
