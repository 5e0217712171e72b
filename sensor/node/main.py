"""Builds the node program and wires it; no logic."""

from __future__ import annotations

import ctypes
import gc
import logging
import signal
import sys
import threading
import time
from types import FrameType

from sensor.config.node import NodeSettings
from sensor.delivery.sink import SinkError
from sensor.node import metrics
from sensor.node.backfill.processes import ProcessTable
from sensor.node.capture.capture import Capture, CaptureSettings
from sensor.node.capture.errors import CaptureError
from sensor.node.capture.host import host_mount_namespace
from sensor.node.coverage import Coverage
from sensor.node.deliver import Delivery
from sensor.node.describe import Describer
from sensor.node.identify.containers import ContainerRegistry
from sensor.node.identify.metadata import runtime_metadata
from sensor.node.identify.roots import open_folder
from sensor.node.identify.runc import RuncStates
from sensor.node.introspect.cpython import CpythonProbe
from sensor.node.introspect.dotnet import DotnetProbe
from sensor.node.introspect.go import GoProbe
from sensor.node.introspect.hotspot import HotspotProbe
from sensor.node.introspect.interface import Probe
from sensor.node.introspect.introspector import Introspector
from sensor.node.inventory import Inventory
from sensor.node.natives import Natives
from sensor.node.pipeline import Pipeline
from sensor.node.reporter import Reporter
from sensor.node.resolve.dispatch import Dispatcher
from sensor.node.resolve.dotnet.resolver import DotnetResolver
from sensor.node.resolve.go.resolver import GoResolver
from sensor.node.resolve.java.resolver import JavaResolver
from sensor.node.resolve.node.resolver import NodeResolver
from sensor.node.resolve.openers import Openers
from sensor.node.resolve.python.resolver import PythonResolver
from sensor.node.restore import oldest_processes, restore
from sensor.node.scheduling import go_first
from sensor.node.upkeep import STAGES, Rooms, Upkeep
from sensor.telemetry.health import Health
from sensor.telemetry.metrics import Telemetry
from sensor.telemetry.server import MetricsServer, ServerError

log = logging.getLogger(__name__)

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # malloc.h

SWITCH_INTERVAL = 0.0005
"""Seconds for which a thread that computes keeps the interpreter from others (Python's default: 5 ms).

The ring's thread gives it up at each of the dozen system calls that open the root of a new container,
which may live for 30 ms, while the worker resolves and a JVM is asked.
"""

STOP_WITHIN = 3.0
"""Seconds for what is queued to be resolved and reported after the signal to end."""

FLUSH_WITHIN = 5.0
"""Seconds after that for what was reported to arrive upstream; one more where a request hangs."""


def run(settings: NodeSettings) -> int:
    """Run the node program until a signal, the duration, or the reader of the output ends it.

    Returns the exit code of ``runtime-sensor node``.
    """
    stop = threading.Event()
    _stop_on_signals(stop)
    _bound_allocator()
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        rooms = _build(settings)
        # After it: gRPC starts threads, and the loader of the kernel programs is a child of ours.
        delivery = Delivery(settings)
    except (CaptureError, SinkError) as error:
        print(f"runtime-sensor node: {error}", file=sys.stderr)  # noqa: T201 - for people
        return 1
    # What is there from the start stays: not to be looked at by each collection, which holds every thread
    # up for 10 ms otherwise, a third of the shortest containers' lives.
    gc.collect()
    gc.freeze()
    return _run(settings, rooms, delivery, stop)


def _build(settings: NodeSettings) -> Rooms:
    host = open_folder(settings.host_root)
    registry = ContainerRegistry(
        host_mount_namespace=host_mount_namespace(),
        include_host=settings.include_host,
        runc_ids=RuncStates(host).exists,
    )
    inventory = Inventory(settings.cluster, settings.node)
    coverage, natives = Coverage(inventory), Natives(ProcessTable().mapped_files)
    pipeline = Pipeline(registry, inventory, _dispatcher, coverage, natives)
    capture = Capture(CaptureSettings(settings.include_host, settings.ring_bytes), pipeline.receive_record)
    introspector = Introspector(_probes(), inventory, registry.root, coverage.scanned)
    describer = Describer(inventory, runtime_metadata(settings.host_root))
    pipeline.on_stranger = capture.ignore
    pipeline.on_container = describer.add
    pipeline.on_passing_failure = capture.forget
    pipeline.on_question = introspector.note
    pipeline.on_older = introspector.answer
    log.info("capturing by %s", capture.hook)
    return Rooms(
        capture, registry, pipeline, inventory, coverage, natives, introspector, describer, Health(*STAGES)
    )


def _dispatcher() -> Dispatcher:
    node, dotnet, go = NodeResolver(), DotnetResolver(), GoResolver()
    return Dispatcher(
        (PythonResolver(), node, JavaResolver(), dotnet, go), Openers(), programs=(go, dotnet, node)
    )


def _probes() -> tuple[Probe, ...]:
    return HotspotProbe(), CpythonProbe(), DotnetProbe(), GoProbe()


def _run(settings: NodeSettings, rooms: Rooms, delivery: Delivery, stop: threading.Event) -> int:
    _restore(rooms, delivery, settings.include_host)
    upkeep = Upkeep(rooms, include_host=settings.include_host)
    reporter = Reporter(delivery.sink, rooms.inventory, rooms.health, settings.debounce)
    upkeep.on_first_scan = reporter.scanned
    reporter.lost, reporter.on_whole = delivery.take_lost, delivery.snapshot
    telemetry = Telemetry()
    metrics.register(telemetry, rooms, upkeep, reporter, delivery)
    try:
        server = _serve(settings, telemetry, rooms.health)
    except ServerError as error:
        print(f"runtime-sensor node: {error}", file=sys.stderr)  # noqa: T201 - for people
        return 1
    reading = threading.Event()
    ring = threading.Thread(target=_read_ring, args=(rooms, reading, stop), name="ring", daemon=True)
    for thread in (ring, rooms.describer, rooms.introspector, upkeep):
        thread.start()
    delivery.start()
    try:
        reporter.run(stop, settings.duration)
    finally:
        _shut_down(rooms, reading, ring, upkeep)
        code = reporter.finish()
        if not delivery.close(FLUSH_WITHIN):
            log.warning("not everything has arrived upstream; %s", _kept(settings, delivery))
            code = code if delivery.keeps else 1
        if server is not None:
            server.close()
    return code


def _restore(rooms: Rooms, delivery: Delivery, include_host: bool) -> None:
    """Before the first event is read: what an earlier run knew of the containers that still run."""
    remembered = list(delivery.remembered())
    if not remembered or delivery.outbox is None:
        return
    processes = ProcessTable().all_containers_processes(0 if include_host else host_mount_namespace())
    oldest = oldest_processes(processes, rooms.registry.admit_process)
    restored = restore(remembered, oldest, rooms.inventory, delivery.outbox.boot_id)
    for container in restored.running:
        rooms.describer.add(container)
    log.info(
        "restored %d containers of an earlier run; %d more have ended since, %d started anew",
        *(len(restored.running), restored.ended, restored.started_anew),
    )


def _kept(settings: NodeSettings, delivery: Delivery) -> str:
    if settings.state_dir is None:
        return "it is lost: without --state-dir nothing outlives the sensor"
    if not delivery.keeps:
        return f"it is lost: {settings.state_dir} could not be written to, see above"
    return f"it is kept in {settings.state_dir} and follows when the sensor runs again"


def _read_ring(rooms: Rooms, reading: threading.Event, stop: threading.Event) -> None:
    go_first()
    try:
        while not reading.is_set():
            rooms.capture.poll(0.5)
            rooms.pipeline.flush()
    except CaptureError as error:
        log.error("%s", error)
        stop.set()


def _shut_down(rooms: Rooms, reading: threading.Event, ring: threading.Thread, upkeep: Upkeep) -> None:
    """Within :data:`STOP_WITHIN`: what happened before the signal is still reported."""
    end = time.monotonic() + STOP_WITHIN
    reading.set()
    ring.join(1.0)  # first, so that what it still reads is resolved
    upkeep.stop(0.5)
    rooms.describer.stop(0.2)
    rooms.pipeline.drain(max(0.0, end - time.monotonic() - 0.5))
    rooms.pipeline.stop(0.5)
    rooms.introspector.stop(max(0.0, end - time.monotonic()))  # last, as the pipeline gives it work
    rooms.natives.settle(lambda container, use: rooms.inventory.loaded(container, use, time.time()))
    ring.join(0.2)
    if ring.is_alive() or upkeep.is_alive():
        return  # the end of the process frees what they use; we must not under their hands
    rooms.capture.close()
    rooms.registry.close()


def _serve(settings: NodeSettings, telemetry: Telemetry, health: Health) -> MetricsServer | None:
    if settings.metrics_address is None:
        return None
    return MetricsServer(settings.metrics_address.host, settings.metrics_address.port, telemetry, health)


def _bound_allocator() -> None:
    """One heap for all threads, which hold the interpreter's lock anyway, and large blocks on their own.

    What a burst took goes back to the system after it: by mallopt(3) of glibc, without effect on others.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.mallopt(_M_MMAP_THRESHOLD, 64 << 10)


def _stop_on_signals(stop: threading.Event) -> None:
    def handle(number: int, _frame: FrameType | None) -> None:
        log.info("ending: %s", signal.Signals(number).name)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handle)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # a reader that left is an error of the write
