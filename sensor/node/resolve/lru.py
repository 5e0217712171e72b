"""A cache that forgets the least recently used entry when it is full, and counts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LruCache(Generic[K, V]):
    """At most ``size`` entries. For one thread. ``hits``, ``misses`` and ``evictions`` only grow."""

    __slots__ = ("_entries", "_size", "_unused", "evictions", "hits", "misses")

    def __init__(self, size: int) -> None:
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._size = size
        self._unused: set[K] = set()  # since the last sweep
        self.hits = 0
        self.misses = 0
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        value = self._entries.get(key)
        if value is None:
            self.misses += 1
            return None
        self.hits += 1
        self._unused.discard(key)
        self._entries.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        self._entries[key] = value
        self._unused.discard(key)
        self._entries.move_to_end(key)
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)
            self.evictions += 1

    def sweep(self) -> None:
        """Drop what was not used since the last sweep."""
        for key in self._unused:
            self._entries.pop(key, None)
        self._entries = OrderedDict(self._entries)  # a table does not shrink by itself
        self._unused = set(self._entries)

    def discard(self, key: K) -> None:
        self._entries.pop(key, None)
