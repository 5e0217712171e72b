"""Tells who waits that something was stored."""

from __future__ import annotations

import asyncio
import time


class Changed:
    """A number that grows with each commit. To be used in the event loop only."""

    def __init__(self) -> None:
        # From the clock, so that a page which was open before a restart sees another number after it.
        self.version = time.time_ns() // 1_000_000
        self._waiting: set[asyncio.Future[None]] = set()

    def grow(self) -> None:
        self.version += 1
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    async def wait(self, since: int, timeout: float) -> int:
        """Return the number once it is another than ``since``, or as it is after ``timeout`` seconds."""
        if self.version == since:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            try:
                await asyncio.wait((waiting,), timeout=timeout)
            finally:
                self._waiting.discard(waiting)
        return self.version
