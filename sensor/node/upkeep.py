"""What has to be done again and again beside the events: a thread, once a second.

Heartbeat, losses, containers that ended, native modules to be graded, the runtimes' names for
containers, what our own programs cost, and what each of them means for readiness.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sensor.model.container import ContainerIdentity
from sensor.node.backfill.processes import Process, ProcessTable
from sensor.node.capture.capture import Capture
from sensor.node.capture.layout import Counter
from sensor.node.code_pages import CodePages
from sensor.node.coverage import EVENTS_LOST, STARTED_BEFORE_SENSOR, Coverage
from sensor.node.enrichment.deployed import Deployed
from sensor.node.enrichment.describe import Describer
from sensor.node.enrichment.sources import Sources
from sensor.node.identify.containers import ContainerRegistry
from sensor.node.introspect.introspector import Introspector
from sensor.node.inventory import Inventory
from sensor.node.natives import Natives
from sensor.node.pipeline import STUCK_AFTER, Pipeline
from sensor.node.scan import ProcessScan
from sensor.telemetry.health import Health

log = logging.getLogger(__name__)

PERIOD = 1.0
HEARTBEAT_PERIOD = 5.0
ECHO_WITHIN = 15.0
"""Seconds without an echo of our own open after which the sensor is not ready."""

STAGES = ("capture", "identify", "resolve", "first scan")


@dataclass(frozen=True, slots=True)
class Rooms:
    """Everything upkeep looks after."""

    capture: Capture
    registry: ContainerRegistry
    pipeline: Pipeline
    inventory: Inventory
    coverage: Coverage
    natives: Natives
    introspector: Introspector
    describer: Describer
    sources: Sources
    deployed: Deployed
    health: Health


class Upkeep(threading.Thread):
    """Runs until :meth:`stop`. ``failures`` counts steps that raised."""

    def __init__(self, rooms: Rooms, *, include_host: bool) -> None:
        super().__init__(name="upkeep", daemon=True)
        self._rooms = rooms
        self._include_host = include_host
        self._table = ProcessTable()
        self._stopping = threading.Event()
        self._next_beat = 0.0
        self._began = time.monotonic()
        self._lost = 0  # as the counter says
        self._told = 0  # as the table of processes says
        self._scanned = False
        self._code_pages: CodePages | None = None
        self.on_first_scan: Callable[[], object] = lambda: None
        """Called once every process that ran before us has been met."""
        self.failures = 0
        self.rescans = 0

    def run(self) -> None:
        self._round()
        while not self._stopping.wait(PERIOD):
            self._round()

    def stop(self, timeout: float) -> None:
        self._stopping.set()
        self.join(timeout)

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception:  # the edge of the loop: the next round may do better
            self.failures += 1
            log.exception("upkeep failed")

    def _round(self) -> None:
        """Every step for itself: one that fails must not keep the others from their work."""
        if not self._scanned:
            self._guarded(self._first_scan)
        self._guarded(self._heartbeat)
        self._guarded(self._heal_losses)
        self._guarded(self._end_containers)
        self._guarded(self._rooms.deployed.round)
        self._guarded(self._heed_expired)
        self._guarded(self._settle_natives)
        self._guarded(self._rooms.pipeline.replace_stuck_worker)
        self._guarded(self._rooms.capture.measure)
        self._guarded(self._give_back)
        self._guarded(self._judge)

    def _give_back(self) -> None:
        now = time.monotonic()
        if self._code_pages is None:
            if not self._scanned:
                return  # still starting
            self._code_pages = CodePages(now)
        self._code_pages.turn(now)

    def _heed_expired(self) -> None:
        for namespace in self._rooms.registry.expired_ignored(time.monotonic()):
            self._rooms.capture.heed(namespace)

    def _settle_natives(self) -> None:
        inventory = self._rooms.inventory
        self._rooms.natives.settle(lambda container, use: inventory.loaded(container, use, time.time()))

    def _heartbeat(self) -> None:
        if time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + HEARTBEAT_PERIOD
            self._rooms.capture.beat()

    def _judge(self) -> None:
        """Say what works: see :data:`STAGES`."""
        rooms, now = self._rooms, time.monotonic()
        echo = rooms.capture.last_echo
        silent = now - max(echo, self._began)
        heard = bool(echo) and silent <= ECHO_WITHIN
        reason = f"no echo of our own open for {silent:.0f} s: the hook or the ring is silent"
        rooms.health.set("capture", heard, reason)
        stuck = rooms.pipeline.stuck_for
        rooms.health.set(
            "resolve", stuck < STUCK_AFTER, f"a worker hangs for {stuck:.0f} s on a container's file system"
        )

    def _first_scan(self) -> None:
        """Look at what ran before us. Attached first: nothing falls between."""
        attached = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        host = 0 if self._include_host else self._rooms.capture.host_mount_namespace
        processes = self._table.all_containers_processes(host)
        for process in processes:
            if self._stopping.is_set():
                return
            if process.start_boottime < attached:
                container = self._admit(process)
                if container is not None:
                    self._scan(ProcessScan(process, container, STARTED_BEFORE_SENSOR))
        self._scanned = True
        log.info("first scan: %d processes outside the host's mount namespace", len(processes))
        self._rooms.health.set("identify", True)
        self._rooms.health.set("first scan", True)
        self.on_first_scan()

    def _admit(self, process: Process) -> ContainerIdentity | None:
        """Return the container of a process that lives; the inventory holds it from now on."""
        container = self._rooms.registry.admit_process(process.pid)
        if not isinstance(container, ContainerIdentity) or self._rooms.inventory.is_excluded(container.id):
            return None
        if self._rooms.inventory.seen(container):
            self._rooms.describer.add(container)
        return container

    def _scan(self, scan: ProcessScan) -> None:
        if self._rooms.coverage.doubt(scan) and not self._rooms.pipeline.scan(scan):
            self._rooms.coverage.scanned(scan, whole=False)

    def _heal_losses(self) -> None:
        """The ring was full: look at the processes that lost.

        What was lost was not remembered as seen: the kernel reports it at its next open by itself.
        """
        lost = self._rooms.capture.counters()[Counter.RING_FULL]
        if lost == self._lost:
            return
        losses = self._rooms.capture.take_losses()
        # Taken after the counter was read: as long as every process is told apart, no fewer than that.
        self._told += sum(losses.values())
        if self._told < lost:
            self._told = lost
            self._lost_by_unknown()
        log.warning(
            "%d events lost: the ring was full; %d processes are scanned again (a larger --ring-size helps)",
            lost - self._lost,
            len(losses),
        )
        self._lost = lost
        self.rescans += 1
        for namespace in {namespace for namespace, _ in losses}:
            self._rescan(namespace, {pid for lost_in, pid in losses if lost_in == namespace})

    def _lost_by_unknown(self) -> None:
        """More processes lost events than the kernel could tell apart: it may have been any container."""
        for report in self._rooms.inventory.snapshot(time.time()):
            if report.deployed:
                self._rooms.coverage.gone(report.container, EVENTS_LOST)

    def _rescan(self, namespace: int, lost: set[int]) -> None:
        alive = {process.pid: process for process in self._table.processes_of(namespace)}
        container = self._rooms.registry.identity(namespace)
        if container is None:  # perhaps because all it did was lost; otherwise the host's
            container = next(filter(None, map(self._admit, alive.values())), None)
        if container is None:
            return
        for pid in lost:
            if pid in alive:
                self._scan(ProcessScan(alive[pid], container, EVENTS_LOST))
            else:
                self._rooms.coverage.gone(container, EVENTS_LOST)

    def _end_containers(self) -> None:
        rooms, now = self._rooms, time.monotonic()
        for container in rooms.registry.poll_ended(now):
            # Held even if its first event is still on its way, so that this does not find it deployed.
            if rooms.inventory.seen(container, 0.0):
                rooms.describer.add(container)
            rooms.inventory.ended(container, time.time())
            rooms.coverage.ended(container)
            rooms.introspector.forget(container)
            rooms.describer.forget(container)
        for namespace in rooms.registry.release(now):
            rooms.capture.heed(namespace)  # the kernel's list is for those that are still there
