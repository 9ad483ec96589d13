"""Entry points of other packages in this environment, read once per `sys.path`.

Reading the metadata of every package takes 0.1 s.
"""

from __future__ import annotations

import functools
import importlib.metadata
import sys
from typing import Any


def entry_points(group: str) -> importlib.metadata.EntryPoints:
    """Return the entry points of a group, such as "qtha_lab.methods".

    They are read again after `sys.path` has changed.

    Example:
        >>> names = [point.name for point in entry_points("pennylane.plugins")]
        >>> "qtha.cpu" in names
        True
    """
    return _all(tuple(sys.path)).select(group=group)


@functools.lru_cache(maxsize=4)
def _all(path: tuple[str, ...]) -> Any:  # `EntryPoints`, or its equivalent in Python 3.11
    return importlib.metadata.entry_points()
