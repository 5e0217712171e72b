"""Chains the rooms: kernel event -> container -> packages -> inventory.

Two threads meet here. The ring's thread calls :meth:`Pipeline.receive`: it knows the container of
an event, opening its root at first sight while the process still lives, tells the inventory, and
queues the event. A worker resolves. The queue is bounded; when it is full the ring's thread waits,
so that the ring takes the burst and the kernel counts what is lost beyond it.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sensor.model.container import ContainerEvent, ContainerIdentity
from sensor.model.events import EventFlag, EventKind, KernelEvent
from sensor.model.package import Evidence, PackageUse, Skipped, SkipReason
from sensor.node.capture import layout
from sensor.node.coverage import Coverage
from sensor.node.identify.containers import ContainerRegistry, NotAContainer
from sensor.node.identify.roots import Candidate, open_root
from sensor.node.inventory import Inventory
from sensor.node.natives import Natives
from sensor.node.resolve.dispatch import Dispatcher
from sensor.node.rootfs import RootFilesystem
from sensor.node.scan import ProcessScan, Scanned, scan
from sensor.node.worker import Supply, Work, Worker

log = logging.getLogger(__name__)

_libc = ctypes.CDLL(None)

QUEUE_BATCHES = 192
"""Batches of records, 64 KiB each: they take what the worker cannot keep up with, about 42,000 events,
and the ring 16,000 more. As blocks of their own, so that a burst leaves no holes in the heap."""
BATCH_BYTES = 64 << 10
MET_NAMESPACES = 4096
STUCK_AFTER = 20.0
"""Seconds on one event after which a worker is given up: a container's file system hangs."""
MAX_ABANDONED = 4
"""Workers that hang at the same time. With one more the sensor is not ready."""
MAX_SCANS = 20_000

# The file may be readable at its next open: let the kernel report it once more.
_PASSING = frozenset({SkipReason.VANISHED, SkipReason.TOO_SLOW, SkipReason.IO_ERROR})


@dataclass(slots=True)
class PipelineCounters:
    """Events by their way out of the pipeline, since start."""

    received: int = 0
    no_container: int = 0
    excluded: int = 0
    no_root: int = 0
    failed: int = 0
    abandoned_workers: int = 0


class Pipeline:
    """See the module. ``dispatcher`` makes what one worker resolves with."""

    def __init__(
        self,
        registry: ContainerRegistry,
        inventory: Inventory,
        dispatcher: Callable[[], Dispatcher],
        coverage: Coverage,
        natives: Natives,
    ) -> None:
        self._registry = registry
        self._inventory = inventory
        self._make_dispatcher = dispatcher
        self._coverage = coverage
        self._natives = natives
        self._queue: queue.Queue[Work] = queue.Queue(QUEUE_BATCHES)
        self._scans: deque[ProcessScan] = deque()
        self._stopping = threading.Event()
        self._replacing = threading.Lock()  # the ring's thread and upkeep may both find a worker stuck
        self.counters = PipelineCounters()
        self.on_stranger: Callable[[KernelEvent], object] = _nobody
        """Called with an event whose mount namespace was newly found to be no container's."""
        self.on_excluded: Callable[[KernelEvent], object] = _nobody
        """Called with an event of a container that is not to be reported."""
        self.on_container: Callable[[ContainerIdentity], object] = _nobody
        """Called with a container that was not known before."""
        self.on_passing_failure: Callable[[KernelEvent], object] = _nobody
        """Called with an event whose file could not be read just now."""
        self.on_question: Callable[[KernelEvent, ContainerIdentity, bool], object] = _no_question
        """Called with an event whose process must be asked what it uses, and whether packages hang on it."""
        self.on_older: Callable[[ProcessScan], object] = lambda work: coverage.scanned(work, False)
        """Called with a scan that only the process itself can answer; it tells the coverage how that went."""
        self._batch: list[bytes] = []
        self._batch_size = 0
        self._met: set[int] = set()
        """Mount namespaces whose root is held, by the number that is never used again."""
        self.dispatchers: list[Dispatcher] = []
        self._abandoned: list[Worker] = []
        self._worker = self._start_worker()

    @property
    def backlog(self) -> int:
        """Batches of events received and not resolved yet."""
        return self._queue.qsize()

    @property
    def stuck_for(self) -> float:
        """Seconds the worker has spent on its present event; 0.0 when it is idle."""
        since = self._worker.busy_since
        return time.monotonic() - since if since else 0.0

    def receive_record(self, record: bytes) -> None:
        """Take a record off the ring, undecoded unless its mount namespace is new. Waits while the queue
        is full."""
        if not layout.is_whole(record):
            raise layout.MalformedRecord(f"{len(record)} bytes")
        number = layout.peek_mount_namespace_id(record)
        if number in self._met:
            self.counters.received += 1
            self._batch.append(record)
            self._batch_size += len(record)
            if self._batch_size >= BATCH_BYTES:
                self.flush()
            return
        self.flush()  # what came before goes before
        event = layout.decode(record)
        self.receive(event)
        if self._registry.root(event.mount_namespace, number) is not None:
            if len(self._met) >= MET_NAMESPACES:
                self._met.clear()
            self._met.add(number)

    def flush(self) -> None:
        """Queue the records taken so far; to be called when the ring is empty."""
        if self._batch:
            batch, self._batch, self._batch_size = b"".join(self._batch), [], 0
            self.put(batch)

    def receive(self, event: KernelEvent) -> None:
        """Take an event whose container may be new: its root is opened now. Waits while the queue is full."""
        self.counters.received += 1
        container = self.admit(event)
        if container is not None:
            # Not only when its turn in the queue comes: it may end or lose events before. At 0.0 it is
            # older than any end, so that an event that is late does not start an ended container anew.
            self._seen(container, 0.0)
            self.put(ContainerEvent(event, container))

    def admit(self, event: KernelEvent) -> ContainerIdentity | None:
        """Return whose event it is, ``None`` when it is no container's, or of one that is not reported."""
        container = self._registry.admit(event)
        if not isinstance(container, NotAContainer):
            if not self._inventory.is_excluded(container.id):
                return container
            self.counters.excluded += 1
            self.on_excluded(event)
            return None
        self.counters.no_container += 1
        if container.newly_found:
            self.on_stranger(event)
        return None

    def scan(self, scan: ProcessScan) -> bool:
        """Queue a scan, to be done between events; ``False`` when too many wait. Never waits."""
        if len(self._scans) >= MAX_SCANS:
            return False
        self._scans.append(scan)
        with contextlib.suppress(queue.Full):  # then the worker is awake
            self._queue.put_nowait(threading.Event())
        return True

    def _decoded(self, record: bytes) -> ContainerEvent | None:
        try:
            event = layout.decode(record)
        except layout.MalformedRecord as error:
            self.counters.failed += 1
            log.error("malformed record from the kernel: %s", error)
            return None
        container = self.admit(event)
        return None if container is None else ContainerEvent(event, container)

    def put(self, work: bytes | ContainerEvent) -> None:
        """Queue a batch or an event; waits while the queue is full, gives up only when the pipeline stops."""
        while not self._stopping.is_set():
            try:
                self._queue.put(work, timeout=0.5)
            except queue.Full:
                self.replace_stuck_worker()
            else:
                return

    def replace_stuck_worker(self) -> None:
        """Give up a worker that hangs on one file, mark its container, and go on with a new one."""
        with self._replacing:
            worker, work = self._worker, self._worker.work
            if self._stopping.is_set() or work is None or self.stuck_for < STUCK_AFTER:
                return
            self._abandoned = [former for former in self._abandoned if former.is_alive()]
            if len(self._abandoned) >= MAX_ABANDONED:
                return
            self._abandoned.append(worker)
            self.counters.abandoned_workers += 1
            worker.abandoned = True
            self._worker = self._start_worker(worker.records)
        self._inventory.partial(work.container, "file_system_hangs")
        log.error("reading a file of container %s hangs; its worker is given up", work.container.id)

    def drain(self, timeout: float) -> bool:
        """Wait until everything queued is resolved; ``False`` after ``timeout`` seconds."""
        end = time.monotonic() + timeout
        while self._scans:  # the worker takes them between events
            if time.monotonic() > end:
                return False
            time.sleep(0.005)
        return self._reach(end)

    def _reach(self, end: float) -> bool:
        """Wait until every event queued before is resolved; ``False`` at ``end``, monotonic seconds."""
        reached = threading.Event()
        try:
            self._queue.put(reached, timeout=max(0.0, end - time.monotonic()))
        except queue.Full:
            return False
        return reached.wait(max(0.0, end - time.monotonic()))

    def stop(self, timeout: float) -> None:
        """End the worker after its present event; what is still queued is dropped."""
        self._stopping.set()
        with self._replacing:
            self._worker.abandoned = True
        with contextlib.suppress(queue.Full):  # then it is not waiting for work
            self._queue.put_nowait(None)
        self._worker.join(timeout)

    def _start_worker(self, records: Iterator[bytes] | None = None) -> Worker:
        dispatcher = self._make_dispatcher()
        self.dispatchers.append(dispatcher)
        worker = Worker(
            Supply(self._queue, self._scans, self._decoded),
            iter(()) if records is None else records,
            lambda work: self._work(work, dispatcher, worker),
            self._failed,
            lambda: self._sweep(dispatcher),
        )
        worker.start()
        return worker

    def _work(self, work: ContainerEvent | ProcessScan, dispatcher: Dispatcher, worker: Worker) -> None:
        if isinstance(work, ProcessScan):
            self._scan(work, dispatcher, worker)
        else:
            self._resolve(work.event, work.container, dispatcher)

    def _scan(self, work: ProcessScan, dispatcher: Dispatcher, worker: Worker) -> None:
        def resolve(event: KernelEvent) -> None:
            worker.busy_since = time.monotonic()  # many files take long; stuck is who stays at one
            self._resolve(event, work.container, dispatcher)

        outcome = Scanned.PART
        try:
            outcome = scan(work, resolve)
        finally:
            if outcome is Scanned.ASK_PROCESS:
                self.on_older(work)
            else:
                self._coverage.scanned(work, outcome is Scanned.WHOLE)

    def _failed(self, work: ContainerEvent | ProcessScan) -> None:
        self.counters.failed += 1
        self._inventory.partial(work.container, "failed")

    def _sweep(self, dispatcher: Dispatcher) -> None:
        """Forget what ended containers have left behind, and give the memory back to the system."""
        try:
            dispatcher.sweep()
            gc.collect()  # the oldest generation is otherwise looked at after hours
            if hasattr(_libc, "malloc_trim"):  # glibc
                _libc.malloc_trim(0)
        except Exception:  # the worker, which calls this between events, must not end for its caches
            self.counters.failed += 1
            log.exception("caches could not be swept")

    def _seen(self, container: ContainerIdentity, at: float) -> None:
        if self._inventory.seen(container, at):
            self.on_container(container)

    def _resolve(self, event: KernelEvent, container: ContainerIdentity, dispatcher: Dispatcher) -> None:
        at = _wall_clock(event.time)
        self._seen(container, at)
        root = self._root(event)
        if root is None:
            self.counters.no_root += 1
            if dispatcher.may_prove(event):
                self._inventory.partial(container, "root_unavailable")
            return
        result = dispatcher.resolve(event, root)
        if isinstance(result, Skipped):
            if result.reason is SkipReason.ASK_PROCESS:
                self.on_question(event, container, False)
            elif result.reason.loses_facts:
                self._lost(event, container, result)
            return
        for use in result:
            if not _awaits_mapping(event, use):
                self._inventory.loaded(container, use, at)
        self._natives.note(event, container, result)
        if any(use.evidence is Evidence.BUNDLED for use in result):
            self.on_question(event, container, True)

    def _root(self, event: KernelEvent) -> RootFilesystem | None:
        if event.flags & EventFlag.CHROOT:
            # Inside a chroot the path is not the container's: look from where the process looks.
            found = open_root(
                [Candidate(event.pid, event.start_boottime)], event.mount_namespace, None, "/proc"
            )
            return found.root if found else None
        return self._registry.root(event.mount_namespace, event.mount_namespace_id)

    def _lost(self, event: KernelEvent, container: ContainerIdentity, skipped: Skipped) -> None:
        self._inventory.partial(container, f"skipped_{skipped.reason}")
        # The events of a scan have no key: the kernel never sent them.
        if skipped.reason in _PASSING and event.kind is EventKind.OPEN and event.seen_key:
            self.on_passing_failure(event)


def _wall_clock(boot_time: int) -> float:
    """CLOCK_BOOTTIME nanoseconds to seconds since the epoch."""
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return time.time() - (now - boot_time) / 1e9


def _awaits_mapping(event: KernelEvent, use: PackageUse) -> bool:
    """A library that anybody may have opened counts once it is mapped: see ``Resolver.opener_matters``."""
    return event.kind is EventKind.OPEN and use.evidence is Evidence.MAPPED


def _nobody(_argument: object) -> None:
    """Until somebody listens."""


def _no_question(_event: KernelEvent, _container: ContainerIdentity, _holds_packages: bool) -> None:
    """Until somebody asks."""
