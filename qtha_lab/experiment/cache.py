"""The latest values by key, each made once, also when two threads ask for it at the same time.

Knows nothing of what it keeps.
"""

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
        self.values: list[Value] = []  # none yet, or one


class Cache(Generic[Value]):
    """Values that take long to make, by what they depend on; the least recently used are forgotten.

    Args:
        name: What they are, for the log.
        most: How many values to keep.

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
        """The value of a key, made if it is not there; what `make` raises is not remembered.

        Args:
            key: All that the value depends on; None makes it and remembers nothing.
            make: Makes the value; a second thread that asks for the same key waits for the first.
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
                log.debug("%s remembered", self.name)
            return entry.values[0]
