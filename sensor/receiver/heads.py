"""Ends connections over HTTP that open and then ask nothing.

aiohttp bounds the time between two requests of a connection (``keepalive_timeout``), not that before the
first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Protocol

WITHIN = 20.0
"""Seconds for the head of the first request."""


class Connection(Protocol):
    """Such as :class:`aiohttp.web.RequestHandler`."""

    def force_close(self) -> None: ...


class Heads:
    """Used in the event loop only. ``clock`` gives seconds."""

    def __init__(self, within: float = WITHIN, clock: Callable[[], float] = time.monotonic) -> None:
        self._within = within
        self._clock = clock
        self._came: set[Connection] = set()
        self._silent: dict[Connection, float] = {}

    def came(self, connection: Connection) -> None:
        """The head of a request has come on it."""
        self._came.add(connection)

    def sweep(self, connections: Iterable[Connection]) -> int:
        """Of those that are open end what was silent for too long; return how many."""
        now, found = self._clock(), set(connections)
        self._came &= found
        self._silent = {one: self._silent.get(one, now) for one in found - self._came}
        late = [one for one, since in self._silent.items() if now - since >= self._within]
        for one in late:
            one.force_close()
        return len(late)

    async def run(self, connections: Callable[[], Iterable[Connection]]) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(self._within / 10)
            self.sweep(connections())
