"""Disk cache of the declarations of slow-loading modules.

A cached value is valid until its code changes. A form shows it without importing torch, which is
most of the time to open the page (`qtha-lab bench opening` measures both). The cache is a JSON file
per name in the cache folder, which can be deleted at any time. joblib's and other caches are keyed
by one function's source, not by all sources of some packages and the versions of libraries.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import logging
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from qtha_lab.core import paths
from qtha_lab.core.io import make_folder, parse_json, read_json, write_json
from qtha_lab.core.registry import entry_points

log = logging.getLogger(__name__)

LIBRARIES = ("peft", "torch", "transformers")
GROUPS = (
    "qtha_lab.methods",
    "qtha_lab.engines",
    "qtha_lab.circuits.ansatze",
)  # entry point groups of other packages' members


def is_loaded(module: str) -> bool:
    """Return True if a module is fully imported; False while a thread imports it.

    Example:
        >>> is_loaded("json"), is_loaded("qtha_lab.nothing")
        (True, False)
    """
    spec = getattr(sys.modules.get(module), "__spec__", None)
    return spec is not None and not getattr(spec, "_initializing", False)


def cached_declarations(name: str, packages: Iterable[str], make: Callable[[], Any]) -> Any:
    """Return a value from the disk cache, or compute and cache it.

    The cached value, as JSON stores it, is valid while the files it depends on are unchanged.
    """
    try:
        folder = paths.cache_dir()
    except RuntimeError as reason:  # there is no home folder
        log.debug("%s are not stored: %s", name, reason)
        return make()
    return _read_cache(name, tuple(packages), make, folder)


@functools.lru_cache(maxsize=16)
def _read_cache(name: str, packages: tuple[str, ...], make: Callable[[], Any], folder: Path) -> Any:
    file, stamp = folder / f"{name}.json", _stamp(packages)
    try:
        known = read_json(file)
        if known["stamp"] == stamp:
            return known["value"]
    except (OSError, ValueError, KeyError, TypeError) as reason:
        log.debug("%s are read from their code: %r", name, reason)
    value = make()
    try:
        make_folder(folder)
        write_json(file, {"stamp": stamp, "value": value})
    except OSError as reason:
        log.debug("%s are not stored: %s", name, reason)
    return parse_json(json.dumps(value))


def declared_by_packages() -> list[importlib.metadata.EntryPoint]:
    """List the entry points of other packages for methods, engines and ansätze."""
    return [point for group in GROUPS for point in entry_points(group)]


def _stamp(packages: tuple[str, ...]) -> str:
    """Return a stamp that changes with any file of the subpackages, library or declared package."""
    places = [paths.PACKAGE / package for package in packages]
    files = sorted(file for place in places for file in place.rglob("*.py"))
    stats = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    points = [(point.name, point.value) for point in declared_by_packages()]
    versions = [*map(importlib.metadata.version, LIBRARIES), sys.version]
    text = json.dumps([stats, sorted(points), versions])
    return hashlib.sha256(text.encode()).hexdigest()
