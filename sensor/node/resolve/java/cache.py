"""A cache bounded in bytes, for what archives hold: one has a single package, the next ten thousand."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class WeightedCache(Generic[K, V]):
    """At most ``limit`` bytes, as :meth:`put` is told; the least recently used goes first.

    For one thread. ``hits`` and ``misses`` only grow. Sweeps as :class:`~sensor.node.resolve.lru.LruCache`.
    """

    __slots__ = ("_entries", "_limit", "_unused", "hits", "misses", "weight")

    def __init__(self, limit: int) -> None:
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._unused: set[K] = set()  # since the last sweep
        self._limit = limit
        self.weight = 0
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        found = self._entries.get(key)
        if found is None:
            self.misses += 1
            return None
        self.hits += 1
        self._unused.discard(key)
        self._entries.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V, weight: int) -> None:
        """Keep ``value``, unless it alone weighs more than the limit."""
        self._drop(key)
        self._unused.discard(key)
        if weight > self._limit:
            return
        self._entries[key] = (value, weight)
        self.weight += weight
        while self.weight > self._limit:
            self._drop(next(iter(self._entries)))

    def sweep(self) -> None:
        """Drop what was not used since the last sweep."""
        for key in self._unused:
            self._drop(key)
        self._entries = OrderedDict(self._entries)  # a table does not shrink by itself
        self._unused = set(self._entries)

    def _drop(self, key: K) -> None:
        found = self._entries.pop(key, None)
        if found is not None:
            self.weight -= found[1]
