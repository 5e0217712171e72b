"""Which containers we may have missed something of, and until when."""

from __future__ import annotations

import threading
from collections import Counter

from sensor.model.container import ContainerIdentity
from sensor.node.inventory import Inventory
from sensor.node.scan import ProcessScan

EVENTS_LOST = "events_lost"
STARTED_BEFORE_SENSOR = "started_before_sensor"

MAX_OPEN = 65536
"""Scans waited for. Beyond, a container stays partial: honest, if not pretty."""
MAX_SPOILT = 8192
"""Containers, by reason, that stay partial. Beyond, none is taken back any more."""


class Coverage:
    """Marks containers partial and takes it back once every process in doubt was scanned whole.

    A process that had gone before it could be scanned, or whose scan was not whole, leaves its
    container partial for good.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        # Held while the inventory is told, so that a new doubt does not overtake what is taken back.
        self._lock = threading.Lock()
        self._open: dict[tuple[str, str], Counter[int]] = {}  # pid -> its scans, each of which must be done
        self._spoilt: set[tuple[str, str]] = set()
        self._count = 0

    @property
    def open_scans(self) -> int:
        """Scans asked for and not done yet."""
        return self._count

    def doubt(self, scan: ProcessScan) -> bool:
        """A process whose loads we may have missed is about to be scanned; ``False`` when full."""
        key = (scan.container.id, scan.reason)
        with self._lock:
            self._inventory.partial(scan.container, scan.reason)
            if self._count >= MAX_OPEN:
                self._spoil(key)
                return False
            self._open.setdefault(key, Counter())[scan.process.pid] += 1
            self._count += 1
            return True

    def gone(self, container: ContainerIdentity, reason: str) -> None:
        """A process that lost events ended before anybody looked: what it loaded is not known."""
        with self._lock:
            self._inventory.partial(container, reason)
            self._spoil((container.id, reason))

    def scanned(self, scan: ProcessScan, whole: bool) -> None:
        """The scan is done; ``whole`` when nothing the process has loaded is missing."""
        key, pid = (scan.container.id, scan.reason), scan.process.pid
        with self._lock:
            pids = self._open.get(key)
            if pids is None or pid not in pids:
                return  # the container has ended meanwhile
            self._count -= 1
            pids[pid] -= 1
            if not pids[pid]:
                del pids[pid]
            if not whole:
                self._spoil(key)
            if not pids:
                del self._open[key]
                if key not in self._spoilt and len(self._spoilt) < MAX_SPOILT:
                    self._inventory.covered(scan.container, scan.reason)

    def ended(self, container: ContainerIdentity) -> None:
        """Forget a container."""
        with self._lock:
            for key in [key for key in self._spoilt if key[0] == container.id]:
                self._spoilt.discard(key)
            for key in [key for key in self._open if key[0] == container.id]:
                self._count -= self._open.pop(key).total()

    def _spoil(self, key: tuple[str, str]) -> None:
        if len(self._spoilt) < MAX_SPOILT:
            self._spoilt.add(key)
