"""Disk cache of circuit results, so that an interrupted evaluation repeats no circuit.

One SQLite file in the cache folder, `circuits.sqlite`; keys are hashes of circuit, angles, device
and options (`tapes`). The file holds numbers only, and may be deleted at any time.

Source:
    The QTHA authors' code caches hardware results by circuit text with angles of four digits.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder
from qtha_lab.core.paths import cache_dir

_AT_ONCE = 500  # keys per query, below SQLite's limit


def cache_file() -> Path:
    """Return the path of the cache file."""
    return cache_dir() / "circuits.sqlite"


def cached_results(keys: Iterable[str]) -> dict[str, np.ndarray]:
    """Return the cached results of some keys.

    Raises:
        Refusal: If the file cannot be opened.
    """
    names = list(dict.fromkeys(keys))
    results: dict[str, np.ndarray] = {}
    with _opened() as store:
        for first in range(0, len(names), _AT_ONCE):
            chunk = names[first : first + _AT_ONCE]
            placeholders = ",".join("?" * len(chunk))
            rows = store.execute(
                f"SELECT key, numbers FROM circuits WHERE key IN ({placeholders})", chunk
            )
            results |= {key: np.frombuffer(numbers, "<f8") for key, numbers in rows}
    return results


def keep(results: dict[str, np.ndarray], device: str) -> None:
    """Write results in one transaction."""
    rows = [
        (key, device, time.time(), np.asarray(numbers, "<f8").tobytes())
        for key, numbers in results.items()
    ]
    with _opened() as store, store:
        store.executemany("INSERT OR REPLACE INTO circuits VALUES (?, ?, ?, ?)", rows)


@contextlib.contextmanager
def _opened():
    path = cache_file()
    try:
        make_folder(path.parent)
        store = sqlite3.connect(path, timeout=60)
        store.execute(
            "CREATE TABLE IF NOT EXISTS circuits "
            "(key TEXT PRIMARY KEY, device TEXT, written REAL, numbers BLOB) WITHOUT ROWID"
        )
    except (OSError, sqlite3.Error) as reason:
        raise Refusal(
            f"The circuit cache {os.fspath(path)!r} cannot be opened ({reason}). Set "
            "QTHA_LAB_CACHE to another folder, or cache=false."
        ) from reason
    with contextlib.closing(store):
        yield store
