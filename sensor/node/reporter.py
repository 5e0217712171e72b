"""Inventory -> sink: changed containers, debounced; a delivery that failed is tried again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from sensor.delivery.sink import Sink, SinkClosed, SinkError
from sensor.node.inventory import Inventory
from sensor.telemetry.health import Health

log = logging.getLogger(__name__)

PERIOD = 0.25
RETRY_FIRST = 1.0
RETRY_MOST = 30.0


class Reporter:
    """Runs in the main thread. ``failures`` counts deliveries that did not arrive."""

    def __init__(self, sink: Sink, inventory: Inventory, health: Health, debounce: float) -> None:
        self._sink = sink
        self._inventory = inventory
        self._health = health
        self._debounce = debounce
        self._retry_at = 0.0
        self._retry_after = RETRY_FIRST
        self._closed = False
        self._scanned = threading.Event()
        self.on_whole: Callable[[], object] = lambda: None
        """Called once all that runs has been delivered: after the first scan, and after a loss."""
        self.lost: Callable[[], bool] = lambda: False
        """Asked whether the sink has lost what was delivered to it."""
        self.failures = 0

    def scanned(self) -> None:
        """The inventory holds everything that runs. May be called from any thread."""
        self._scanned.set()

    def run(self, stop: threading.Event, duration: float | None) -> None:
        """Report until ``stop`` is set, ``duration`` seconds have passed or nobody reads any more."""
        end = None if duration is None else time.monotonic() + duration
        while not stop.is_set() and not self._closed:
            left = PERIOD if end is None else min(PERIOD, end - time.monotonic())
            if left <= 0:
                return
            stop.wait(left)
            self._health.beat()
            if time.monotonic() >= self._retry_at:
                self._round()

    def finish(self) -> int:
        """Report what is left, debounced no more; return the exit code: 1 if something did not arrive."""
        if self._closed:
            return 0
        arrived = self._deliver(0.0)
        try:
            self._sink.close()
        except SinkClosed:
            return 0
        except SinkError as error:
            log.error("the report is not complete: %s", error)
            return 1
        return 0 if arrived or self._closed else 1

    def _round(self) -> None:
        if self.lost():
            self._inventory.undelivered(self._inventory.snapshot(time.time()))
            self._scanned.set()
        if not self._scanned.is_set():
            self._deliver(self._debounce)
        elif self._deliver(0.0):
            self._scanned.clear()
            self.on_whole()

    def _deliver(self, debounce: float) -> bool:
        reports = self._inventory.changed(time.time(), debounce)
        if not reports:
            return True
        try:
            self._sink.deliver(reports)
        except SinkClosed:
            log.info("ending: nobody reads the output any more")
            self._closed = True
            return False
        except SinkError as error:
            self.failures += 1
            self._inventory.undelivered(reports[error.delivered :])
            self._retry_at = time.monotonic() + self._retry_after
            log.error("%s (next try in %.0f s)", error, self._retry_after)
            self._retry_after = min(self._retry_after * 2, RETRY_MOST)
            return False
        self._retry_after = RETRY_FIRST
        return True
