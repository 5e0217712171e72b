"""The thread that works through what the pipeline queued, one event or scan after the other."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sensor.model.container import ContainerEvent
from sensor.node.capture import layout
from sensor.node.scan import ProcessScan

log = logging.getLogger(__name__)

ITEMS_PER_SCAN = 4
"""Batches that a scan may have to wait for: they hold up the ring, it may be about to miss its process."""
SWEEP_PERIOD = 20.0
"""Seconds. What caches hold is gone after at most two of them without use."""

Work = bytes | ContainerEvent | threading.Event | None
"""A batch of records; an event; a mark that is set when it is reached, everything queued before it done;
the end of the worker."""


@dataclass(frozen=True, slots=True)
class Supply:
    """Where a worker's work comes from."""

    events: queue.Queue[Work]
    scans: deque[ProcessScan]
    decode: Callable[[bytes], ContainerEvent | None]


class Worker(threading.Thread):
    """Takes work until it is abandoned. ``busy_since`` is monotonic seconds, 0.0 when idle."""

    def __init__(
        self,
        supply: Supply,
        records: Iterator[bytes],
        handle: Callable[[ContainerEvent | ProcessScan], None],
        failed: Callable[[ContainerEvent | ProcessScan], None],
        sweep: Callable[[], None],
    ) -> None:
        # A daemon: a thread that is stuck in the kernel must not hold up the exit.
        super().__init__(name="resolve", daemon=True)
        self._events = supply.events
        self._scans = supply.scans
        self._decode = supply.decode
        self.records = records
        """The rest of a batch, which goes to the next worker when this one is given up."""
        self._events_in_a_row = 0
        self._handle = handle
        self._failed = failed
        self._sweep = sweep
        self._next_sweep = time.monotonic() + SWEEP_PERIOD
        self.abandoned = False
        self.busy_since = 0.0
        self.work: ContainerEvent | ProcessScan | None = None

    def _next(self) -> Work | ProcessScan:
        """Events first, since they hold up the ring; but a scan after every few of them."""
        if self._scans and (self._events.empty() or self._events_in_a_row >= ITEMS_PER_SCAN):
            with contextlib.suppress(IndexError):  # a worker that was given up took it
                self._events_in_a_row = 0
                return self._scans.popleft()
        self._events_in_a_row += 1
        return self._events.get(timeout=SWEEP_PERIOD)

    def run(self) -> None:
        self._drain_records()
        while not self.abandoned:
            if time.monotonic() >= self._next_sweep:
                self._next_sweep = time.monotonic() + SWEEP_PERIOD
                self._sweep()
            try:
                work = self._next()
            except queue.Empty:
                continue
            if work is None:
                return
            if isinstance(work, threading.Event):
                work.set()
                continue
            if isinstance(work, bytes):
                self.records = layout.split(work)
                self._drain_records()
            else:
                self._do(work)

    def _drain_records(self) -> None:
        while not self.abandoned:
            record = next(self.records, None)
            if record is None:
                return
            work = self._decode(record)
            if work is not None:
                self._do(work)

    def _do(self, work: ContainerEvent | ProcessScan) -> None:
        self.work, self.busy_since = work, time.monotonic()
        try:
            self._handle(work)
        except Exception:  # the edge of the loop: one event must not end the sensor
            log.exception("an event of container %s could not be worked on", work.container.id)
            self._failed(work)
        finally:
            self.work, self.busy_since = None, 0.0
