"""What heavy modules declare, kept on the disk until their code changes, so that a form needs none of them.

A file of JSON in the cache folder, which can be deleted at any time. Knows nothing of what it keeps.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from qtha_lab.core import paths
from qtha_lab.core.entry_points import entry_points
from qtha_lab.core.io import parse_json, read_json

log = logging.getLogger(__name__)

LIBRARIES = ("peft", "torch", "transformers")
GROUPS = (
    "qtha_lab.methods",
    "qtha_lab.engines",
    "qtha_lab.circuits.ansatze",
)  # of other packages' members


def is_loaded(module: str) -> bool:
    """Whether a module was imported to its end; another thread may be in the middle of it.

    Example:
        >>> is_loaded("json"), is_loaded("qtha_lab.nothing")
        (True, False)
    """
    spec = getattr(sys.modules.get(module), "__spec__", None)
    return spec is not None and not getattr(spec, "_initializing", False)


def remembered(name: str, rooms: Iterable[str], make: Callable[[], Any]) -> Any:
    """A value as JSON holds it: that of the disk while the code it came from is the same, else made and kept.

    Args:
        name: What it is, and its file's name.
        rooms: Rooms of the package whose files it depends on; "" is all of it.
        make: Makes it.
    """
    try:
        folder = paths.cache_dir()
    except RuntimeError as reason:  # there is no home folder
        log.debug("%s are not kept: %s", name, reason)
        return make()
    return _remembered(name, tuple(rooms), make, folder)


@functools.lru_cache(maxsize=16)
def _remembered(name: str, rooms: tuple[str, ...], make: Callable[[], Any], folder: Path) -> Any:
    file, stamp = folder / f"{name}.json", _stamp(rooms)
    try:
        known = read_json(file)
        if known["stamp"] == stamp:
            return known["value"]
    except (OSError, ValueError, KeyError, TypeError) as reason:
        log.debug("%s are read from their code: %r", name, reason)
    value = make()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f"{file.name}.{os.getpid()}")
        part.write_text(json.dumps({"stamp": stamp, "value": value}), encoding="utf-8")
        part.replace(file)
    except OSError as reason:
        log.debug("%s are not kept: %s", name, reason)
    return parse_json(json.dumps(value))


def declared_by_packages() -> list[importlib.metadata.EntryPoint]:
    """Where other packages declare methods, engines and ansätze."""
    return [point for group in GROUPS for point in entry_points(group)]


def _stamp(rooms: tuple[str, ...]) -> str:
    """Other whenever a file of the rooms, a library or a declared package is."""
    places = [paths.PACKAGE / room for room in rooms]
    files = sorted(file for place in places for file in place.rglob("*.py"))
    stats = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    points = [(point.name, point.value) for point in declared_by_packages()]
    versions = [*map(importlib.metadata.version, LIBRARIES), sys.version]
    text = json.dumps([stats, sorted(points), versions])
    return hashlib.sha256(text.encode()).hexdigest()
