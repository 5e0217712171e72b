"""How full the kernel's maps are. Counting 65,536 entries takes 8 ms, so it is done once a minute."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from sensor.node.capture.libbpf import Map

COUNT_EVERY = 60.0


@dataclass(frozen=True, slots=True)
class Fill:
    """``entries`` of at most ``maximum``, as of the last count; None before it."""

    entries: int | None
    maximum: int


class MapFill:
    """Of ``maps``: name -> map and the most entries that it holds. :meth:`turn` from one thread."""

    def __init__(self, maps: Mapping[str, tuple[Map, int]]) -> None:
        self._maps = dict(maps)
        self._entries: dict[str, int] = {}
        self._counted: float | None = None

    def turn(self, now: float) -> None:
        """To be called once a second; counts when it is time to. Raises ``OSError``."""
        if self._counted is not None and now < self._counted + COUNT_EVERY:
            return
        self._counted = now  # also if it fails: not again at once
        for name, (one, maximum) in self._maps.items():
            self._entries[name] = one.count(maximum)

    def read(self) -> dict[str, Fill]:
        return {name: Fill(self._entries.get(name), maximum) for name, (_, maximum) in self._maps.items()}

    @property
    def age(self) -> float:
        """Seconds since the last count; 0 before it."""
        return 0.0 if self._counted is None else max(0.0, time.monotonic() - self._counted)
