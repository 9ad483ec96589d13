"""Thread-safe cache of the most recently used values, each computed once per key."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

Value = TypeVar("Value")


class _Entry(Generic[Value]):
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.values: list[Value] = []  # empty, or one value


class Cache(Generic[Value]):
    """Cache of expensive values by key; the least recently used values are dropped.

    Args:
        name: Kind of value, for the log.
        most: Maximum number of values.

    Example:
        >>> lengths = Cache("length", most=2)
        >>> lengths.get("word", lambda: len("word"))
        4
        >>> lengths.get("word", lambda: 1 / 0)  # made before
        4
    """

    def __init__(self, name: str, most: int) -> None:
        self.name, self.most = name, most
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, _Entry[Value]] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        with self._lock:
            return key in self._entries and bool(self._entries[key].values)

    def get(self, key: Hashable | None, make: Callable[[], Value]) -> Value:
        """Return the value of a key and compute it if missing; exceptions are not cached.

        Args:
            key: Everything on which the value depends; None computes without caching.
            make: Computes the value; a second thread with the same key waits for the first.
        """
        if key is None:
            return make()
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            while len(self._entries) > self.most:
                self._entries.popitem(last=False)
        with entry.lock:
            if not entry.values:
                begin = time.perf_counter()
                entry.values.append(make())
                log.debug("%s worked out in %.3f s", self.name, time.perf_counter() - begin)
            else:
                log.debug("%s cached", self.name)
            return entry.values[0]
