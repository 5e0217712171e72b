"""What is known of one runtime's containers: bounded, and kept a while longer than by the runtime."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from sensor.node.identify.cri.answers import Container, ImageNames, PodSandbox

CONTAINERS_MAX = 4096
SANDBOXES_MAX = 2048
IMAGES_MAX = 512
GONE_SECONDS = 60.0
"""For which what the runtime has removed is kept: it may be asked for when its last event is looked at."""
IMAGE_SECONDS = 600.0
"""For which an image's names are believed: tags move."""
NAMELESS_SECONDS = 10.0
"""For which an image of which nothing was told is not asked for again."""


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=_Identified)


class _Kept(Generic[T]):
    """The least recently used go first. ``gone`` maps what was removed to when."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_id: OrderedDict[str, T] = OrderedDict()
        self._gone: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, key: str) -> T | None:
        found = self._by_id.get(key)
        if found is not None:
            self._by_id.move_to_end(key)
        return found

    def put(self, value: T) -> None:
        self._by_id[value.id] = value
        self._by_id.move_to_end(value.id)
        self._gone.pop(value.id, None)
        if len(self._by_id) > self._most:
            oldest, _ = self._by_id.popitem(last=False)
            self._gone.pop(oldest, None)

    def gone(self, key: str, now: float) -> None:
        if key in self._by_id:
            self._gone.setdefault(key, now)

    def only(self, there: set[str], now: float) -> None:
        """All others are gone."""
        for key in self._by_id.keys() - there:
            self._gone.setdefault(key, now)

    def sweep(self, now: float) -> None:
        while self._gone:
            key, since = next(iter(self._gone.items()))
            if now - since < GONE_SECONDS:
                return
            del self._gone[key], self._by_id[key]


class Cache:
    """Thread-safe. ``clock`` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._containers: _Kept[Container] = _Kept(CONTAINERS_MAX)
        self._sandboxes: _Kept[PodSandbox] = _Kept(SANDBOXES_MAX)
        self._images: OrderedDict[str, tuple[float, ImageNames]] = OrderedDict()

    @property
    def sizes(self) -> tuple[int, int]:
        """Containers, sandboxes."""
        return len(self._containers), len(self._sandboxes)

    def container(self, container_id: str) -> Container | None:
        with self._lock:
            return self._containers.get(container_id)

    def sandbox(self, sandbox_id: str | None) -> PodSandbox | None:
        with self._lock:
            return None if sandbox_id is None else self._sandboxes.get(sandbox_id)

    def add(self, containers: Iterable[Container], sandboxes: Iterable[PodSandbox]) -> None:
        now = self._clock()
        with self._lock:
            for sandbox in sandboxes:
                self._sandboxes.put(sandbox)
            for told in containers:
                self._containers.put(_joined(self._containers.get(told.id), told))
            self._containers.sweep(now)
            self._sandboxes.sweep(now)

    def listed(self, containers: set[str], sandboxes: set[str]) -> None:
        """The runtime has these and no others."""
        with self._lock:
            self._containers.only(containers, self._clock())
            self._sandboxes.only(sandboxes, self._clock())

    def removed(self, any_id: str) -> None:
        """The runtime has removed this container or sandbox."""
        with self._lock:
            self._containers.gone(any_id, self._clock())
            self._sandboxes.gone(any_id, self._clock())

    def image(self, key: str) -> ImageNames | None:
        with self._lock:
            until, names = self._images.get(key, (0.0, None))
            return names if self._clock() < until else None

    def add_image(self, key: str, names: ImageNames) -> None:
        with self._lock:
            self._images.pop(key, None)
            seconds = NAMELESS_SECONDS if names == ImageNames() else IMAGE_SECONDS
            self._images[key] = (self._clock() + seconds, names)
            if len(self._images) > IMAGES_MAX:
                self._images.popitem(last=False)


def _joined(known: Container | None, told: Container) -> Container:
    """A list tells what the pod's author wrote and which sandbox it is, an event when it started."""
    if known is None:
        return told
    if told.is_listed:
        return replace(told, started_at=known.started_at, fallback=known.fallback)
    if known.is_listed:
        return replace(known, is_running=told.is_running, started_at=told.started_at, fallback=told.fallback)
    return told
