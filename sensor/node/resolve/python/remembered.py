"""What was found out of a file, once for all containers that have it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sensor.model.package import Skipped, SkipReason
from sensor.node.resolve.lru import LruCache
from sensor.node.resolve.python.folders import COST_FACTOR
from sensor.node.rootfs import FileIdentity, RootFilesystem, Unreadable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Known(Generic[T]):
    found: T | Skipped
    until: float


class Remembered(Generic[T]):
    """The answers of ``read`` for the ``size`` files used last. For one thread.

    A failure that lies in the file is remembered as well; one of the moment only so long that trying
    again takes a twentieth of the time.
    """

    def __init__(self, size: int, read: Callable[[RootFilesystem, str], T]) -> None:
        self._read = read
        self._cache: LruCache[FileIdentity, _Known[T]] = LruCache(size)

    @property
    def hits(self) -> int:
        return self._cache.hits

    @property
    def misses(self) -> int:
        return self._cache.misses

    @property
    def evictions(self) -> int:
        return self._cache.evictions

    def get(self, root: RootFilesystem, path: str) -> T:
        """Return what ``read`` says of the file. Raises Unreadable."""
        key = root.stat(path).identity
        known = self._cache.get(key)
        begun = time.monotonic()
        if known is None or begun >= known.until:
            try:
                known = _Known(self._read(root, path), float("inf"))
            except Unreadable as error:
                known = _Known(error.skipped(), _until(error.reason, begun))
            self._cache.put(key, known)
        if isinstance(known.found, Skipped):
            raise Unreadable(known.found.reason, known.found.detail)
        return known.found

    def sweep(self) -> None:
        """Drop what was not used since the last sweep."""
        self._cache.sweep()


def _until(reason: SkipReason, begun: float) -> float:
    if reason in (SkipReason.MALFORMED, SkipReason.ARCHIVE_BOUNDS):
        return float("inf")
    now = time.monotonic()
    return now + COST_FACTOR * (now - begun)
