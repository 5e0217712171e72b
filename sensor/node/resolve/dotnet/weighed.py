"""A cache bounded by what its entries hold, not by their number alone."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from sensor.node.resolve.lru import LruCache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class WeighedCache(Generic[K, V]):
    """At most ``size`` entries that weigh ``budget`` together; beyond it everything is forgotten at once.

    For one thread. Weights of entries that were evicted or swept count until then, which only makes
    that moment come sooner.
    """

    def __init__(self, size: int, budget: int, weigh: Callable[[V], int]) -> None:
        self._size = size
        self._budget = budget
        self._weigh = weigh
        self._weight = 0
        self._entries: LruCache[K, V] = LruCache(size)

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        return self._entries.get(key)

    def put(self, key: K, value: V) -> None:
        weight = self._weigh(value) + 1
        if self._weight + weight > self._budget:
            self._forget()
        if weight <= self._budget:
            self._weight += weight
            self._entries.put(key, value)

    def sweep(self) -> None:
        """As :meth:`sensor.node.resolve.lru.LruCache.sweep`."""
        self._entries.sweep()
        if not len(self._entries):
            self._forget()

    def _forget(self) -> None:
        self._entries = LruCache(self._size)
        self._weight = 0
