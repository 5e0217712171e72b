"""A dictionary that forgets what was used least recently."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Lru(Generic[K, V]):
    """Holds at most ``entries`` values, which together weigh at most ``weight``. No lock inside."""

    def __init__(self, entries: int, weight: int | None = None) -> None:
        self._entries = entries
        self._weight = weight
        self._held: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._weighs = 0

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: K) -> V | None:
        found = self._held.get(key)
        if found is None:
            return None
        self._held.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V, weight: int = 0) -> None:
        if key in self._held:
            self._weighs -= self._held[key][1]
        self._held[key] = value, weight
        self._held.move_to_end(key)
        self._weighs += weight
        while len(self._held) > self._entries or (self._weight is not None and self._weighs > self._weight):
            _, (_, gone) = self._held.popitem(last=False)
            self._weighs -= gone

    def discard(self, key: K) -> None:
        _, gone = self._held.pop(key, (None, 0))
        self._weighs -= gone

    def clear(self) -> None:
        self._held.clear()
        self._weighs = 0
