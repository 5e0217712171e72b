"""What nobody has reported for two days goes, a little at a time, so that reports are not held up."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable

from sensor.receiver.packages import Packages
from sensor.receiver.store import Store, StoreError

log = logging.getLogger(__name__)

STEP = 500
"""Rows that one transaction deletes."""
KEEP_BATCHES = 1_000_000
BATCH_AGE = 48 * 3600.0


class Expiry:
    """Times are seconds; by the receiver's clock, since those of nodes may be days off."""

    def __init__(
        self, store: Store, packages: Packages, after: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._packages = packages
        self._after = after
        self._clock = clock
        self._interval = min(60.0, max(0.2, after / 20))

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self.sweep()
            except (StoreError, sqlite3.Error) as error:
                log.error("expiry failed and is tried again: %s", error)

    async def sweep(self) -> int:
        """Return how many rows went."""
        total = 0
        while gone := await self._store.write(self._step):
            total += gone
            await asyncio.sleep(0)  # what waits to be stored comes in between
        if total:
            log.debug("expired %d rows", total)
        return total

    def _step(self, connection: sqlite3.Connection) -> int:
        """One statement that still finds something; its rows are counted."""
        now = self._clock()
        for query, parameters, frees_packages in _statements(now, self._after):
            if gone := connection.execute(query, parameters).rowcount:
                if frees_packages:
                    self._packages.forget()
                return gone
        return 0


_OLD_CONTAINERS = (
    "DELETE FROM container WHERE id IN"
    f" (SELECT id FROM container WHERE received_at < ? ORDER BY received_at LIMIT {STEP})"
)
_UNUSED_SETS = (
    "DELETE FROM package_set WHERE id IN (SELECT id FROM package_set WHERE NOT EXISTS"
    f" (SELECT 1 FROM container WHERE container.package_set = package_set.id) LIMIT {STEP // 10})"
)
_UNUSED_PACKAGES = (
    "DELETE FROM package WHERE id IN (SELECT id FROM package WHERE NOT EXISTS"
    f" (SELECT 1 FROM member WHERE member.package = package.id) LIMIT {STEP})"
)
_OLD_BATCHES = f"DELETE FROM batch WHERE id IN (SELECT id FROM batch WHERE received_at < ? LIMIT {STEP})"
_MANY_BATCHES = (
    "DELETE FROM batch WHERE id IN (SELECT id FROM batch WHERE received_at <"
    f" (SELECT received_at FROM batch ORDER BY received_at DESC LIMIT 1 OFFSET {KEEP_BATCHES}) LIMIT {STEP})"
)
_RESOURCE = "org_id, cluster, api_version, kind, namespace, name"
_OLD_RESOURCES = (
    f"DELETE FROM resource WHERE ({_RESOURCE}) IN"
    f" (SELECT {_RESOURCE} FROM resource WHERE received_at < ? LIMIT {STEP})"
)


def _statements(now: float, after: float) -> tuple[tuple[str, tuple[float, ...], bool], ...]:
    """In this order; with their parameters, and whether ids of packages or sets become free by it."""
    return (
        (_OLD_CONTAINERS, (now - after,), False),
        (_UNUSED_SETS, (), True),
        (_UNUSED_PACKAGES, (), True),
        (_OLD_BATCHES, (now - min(after, BATCH_AGE),), False),
        (_MANY_BATCHES, (), False),
        (_OLD_RESOURCES, (now - after,), False),
    )
