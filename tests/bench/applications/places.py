"""Who runs on which processors: the server, what loads it, and the sensor are kept apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Places:
    """Processor numbers. ``build`` is what a build may use: all that the sensor does not."""

    agent: frozenset[int]
    load: frozenset[int]
    server: frozenset[int]

    @property
    def build(self) -> frozenset[int]:
        return self.load | self.server

    def as_json(self) -> dict[str, list[int]]:
        """For ``build/bench.json``."""
        names = ("agent", "load", "server", "build")
        return {name: sorted(getattr(self, name)) for name in names}


def listed(processors: Iterable[int]) -> str:
    """As taskset(1) wants them."""
    return ",".join(str(processor) for processor in sorted(processors))


def places(available: Iterable[int]) -> Places:
    """The last processor for the server, the first for the sensor, all between for the load.

    With two the sensor and the load share one: the server still has its own. With one all share it.
    """
    processors = sorted(available)
    agent, server = frozenset(processors[:1]), frozenset(processors[-1:])
    return Places(agent, frozenset(processors[1:-1]) or agent, server)
