"""Builds the node program and wires it; no logic."""

from __future__ import annotations

import gc
import logging
import sys
import threading
import time
from pathlib import Path

from sensor.config.node import NodeSettings
from sensor.delivery.sink import SinkError
from sensor.kube.errors import KubeError
from sensor.node import privileges
from sensor.node.backfill.processes import ProcessTable
from sensor.node.capture.capture import Capture, CaptureSettings
from sensor.node.capture.errors import CaptureError
from sensor.node.capture.host import host_mount_namespace
from sensor.node.coverage import Coverage
from sensor.node.deliver import Delivery
from sensor.node.enrichment.deployed import Deployed
from sensor.node.enrichment.describe import Describer
from sensor.node.enrichment.sources import Sources
from sensor.node.identify.cgroup_tree import CgroupTree
from sensor.node.identify.containers import ContainerRegistry
from sensor.node.identify.node_root import NodeRoot, open_node_root
from sensor.node.identify.runc import RuncStates
from sensor.node.introspect.cpython import CpythonProbe
from sensor.node.introspect.dotnet import DotnetProbe
from sensor.node.introspect.go import GoProbe
from sensor.node.introspect.hotspot import HotspotProbe
from sensor.node.introspect.interface import Probe
from sensor.node.introspect.introspector import Introspector
from sensor.node.inventory import GRACE, Inventory
from sensor.node.metrics.node import register as register_metrics
from sensor.node.natives import Natives
from sensor.node.pipeline import Pipeline
from sensor.node.preflight.capabilities import missing_capabilities
from sensor.node.program import bound_allocator, flush, serve, stop_on_signals
from sensor.node.reporter import Reporter
from sensor.node.resolve.dispatch import Dispatcher
from sensor.node.resolve.dotnet.resolver import DotnetResolver
from sensor.node.resolve.go.resolver import GoResolver
from sensor.node.resolve.java.resolver import JavaResolver
from sensor.node.resolve.node.resolver import NodeResolver
from sensor.node.resolve.openers import Openers
from sensor.node.resolve.python.resolver import PythonResolver
from sensor.node.restore import oldest_processes, restore
from sensor.node.scheduling import FirstInLine
from sensor.node.upkeep import STAGES, Rooms, Upkeep
from sensor.telemetry.health import Health
from sensor.telemetry.metrics import Telemetry
from sensor.telemetry.server import ServerError

log = logging.getLogger(__name__)

SWITCH_INTERVAL = 0.0005
"""Seconds for which a thread that computes keeps the interpreter from others (Python's default: 5 ms).

The ring's thread gives it up at each of the dozen system calls that open the root of a new container,
which may live for 30 ms, while the worker resolves and a JVM is asked.
"""

STOP_WITHIN = 3.0
"""Seconds for what is queued to be resolved and reported after the signal to end."""

HOLD = 5.0
"""Seconds for which a new container may wait for its name before it is reported without; with filters, from
when they let it pass, which takes as long as it takes."""


def run(settings: NodeSettings) -> int:
    """Run the node program until a signal, the duration, or the reader of the output ends it.

    Returns the exit code of ``runtime-sensor node``.
    """
    stop = threading.Event()
    stop_on_signals(stop)
    bound_allocator()
    sys.setswitchinterval(SWITCH_INTERVAL)
    _tell_missing_capabilities()
    try:
        rooms, ring = _build(settings)
        # After it: gRPC starts threads, and the loader of the kernel programs is a child of ours.
        delivery = Delivery(settings)
    except (CaptureError, KubeError, SinkError) as error:
        print(f"runtime-sensor node: {error}", file=sys.stderr)  # noqa: T201 - for people
        return 1
    # What is there from the start stays: not to be looked at by each collection, which holds every thread
    # up for 10 ms otherwise, a third of the shortest containers' lives.
    gc.collect()
    gc.freeze()
    return _run(settings, rooms, delivery, ring, stop)


def _tell_missing_capabilities() -> None:
    """Before anything fails for want of one: what is refused then names the call, not the capability."""
    for finding in missing_capabilities(Path("/")):
        log.log(logging.WARNING if finding.cure else logging.INFO, "%s", finding.sentence)


def _build(settings: NodeSettings) -> tuple[Rooms, FirstInLine]:
    namespace = host_mount_namespace()
    host = _node_root(settings.host_root, namespace)
    registry = ContainerRegistry(
        host_mount_namespace=namespace,
        include_host=settings.include_host,
        runc_ids=RuncStates(host.folder).exists,
        cgroups=CgroupTree(f"{host.path.rstrip('/')}/sys/fs/cgroup"),
    )
    sources = Sources(settings, host.path)
    inventory = Inventory(settings.cluster, settings.node, hold=HOLD, must_pass=bool(settings.filters))
    coverage, natives = Coverage(inventory), Natives(ProcessTable().mapped_files)
    capture_settings = CaptureSettings(settings.include_host, settings.ring_bytes, settings.open_hook)
    capture = Capture(capture_settings, lambda record: pipeline.receive_record(record))  # noqa: PLW0108 - to come
    ring = _confine(settings)
    # After it, as it has a thread from the start.
    pipeline = Pipeline(registry, inventory, _dispatcher, coverage, natives)
    introspector = Introspector(_probes(), inventory, registry.root, coverage.scanned)
    keep_ended = 0.0 if sources.pods is None else GRACE
    describer = Describer(inventory, sources.metadata, settings.filters, keep_ended=keep_ended)
    deployed = Deployed(inventory, registry, describer, sources.tellers, hearsay=sources.hearsay)
    pipeline.on_stranger = capture.ignore
    pipeline.on_excluded = capture.ignore
    pipeline.on_container = describer.add
    pipeline.on_passing_failure = capture.forget
    pipeline.on_question = introspector.note
    pipeline.on_older = introspector.answer
    for hook, reason in capture.refusals.items():
        log.info("hook %s is not to be had: %s", hook, reason)
    log.info("capturing opens by %s", capture.hook)
    health = Health(*STAGES)
    rooms = Rooms(
        *(capture, registry, pipeline, inventory, coverage, natives, introspector, describer),
        *(sources, deployed, health),
    )
    return rooms, ring


def _node_root(wanted: str, namespace: int) -> NodeRoot:
    try:
        root = open_node_root(wanted, namespace)
    except OSError as error:
        cure = "name a folder that can be opened, or leave it to auto; /proc/PID/root needs CAP_SYS_PTRACE"
        raise CaptureError(f"--host-root {wanted}: {error.strerror}", cure) from error
    if not root.is_node:
        log.warning("the node's own files cannot be seen: containers may be without names; doctor tells why")
    return root


def _confine(settings: NodeSettings) -> FirstInLine:
    """Give up what only the start needed, before other threads are there; return the ring's thread."""
    keep = privileges.needed(settings)
    ring = FirstInLine("ring", lambda: privileges.drop(keep))
    kept = privileges.drop(keep)
    if kept is not None:
        log.info("capabilities from here on: %s", privileges.names(kept))
    return ring


def _dispatcher() -> Dispatcher:
    node, dotnet, go = NodeResolver(), DotnetResolver(), GoResolver()
    return Dispatcher(
        (PythonResolver(), node, JavaResolver(), dotnet, go), Openers(), programs=(go, dotnet, node)
    )


def _probes() -> tuple[Probe, ...]:
    return HotspotProbe(), CpythonProbe(), DotnetProbe(), GoProbe()


def _run(
    settings: NodeSettings, rooms: Rooms, delivery: Delivery, ring: FirstInLine, stop: threading.Event
) -> int:
    _restore(rooms, delivery, settings.include_host)
    upkeep = Upkeep(rooms, include_host=settings.include_host)
    reporter = Reporter(delivery.sink, rooms.inventory, rooms.health, settings.debounce)
    upkeep.on_first_scan = reporter.scanned
    reporter.lost, reporter.on_whole = delivery.take_lost, delivery.snapshot
    telemetry = Telemetry()
    register_metrics(telemetry, rooms, upkeep, reporter, delivery)
    try:
        server = serve(settings, telemetry, rooms.health)
    except ServerError as error:
        print(f"runtime-sensor node: {error}", file=sys.stderr)  # noqa: T201 - for people
        return 1
    reading = threading.Event()
    ring.begin(lambda: _read_ring(rooms, reading, stop))
    for thread in (rooms.describer, rooms.introspector, upkeep):
        thread.start()
    rooms.sources.start(rooms.inventory, rooms.describer)
    delivery.start()
    try:
        reporter.run(stop, settings.duration)
    finally:
        _shut_down(rooms, reading, ring, upkeep)
        rooms.inventory.admit_the_last()
        code = flush(settings, delivery, reporter.finish())
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


def _read_ring(rooms: Rooms, reading: threading.Event, stop: threading.Event) -> None:
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
    rooms.sources.stop(0.2)
    rooms.pipeline.drain(max(0.0, end - time.monotonic() - 0.5))
    rooms.pipeline.stop(0.5)
    rooms.introspector.stop(max(0.0, end - time.monotonic()))  # last, as the pipeline gives it work
    rooms.natives.settle(lambda container, use: rooms.inventory.loaded(container, use, time.time()))
    ring.join(0.2)
    if ring.is_alive() or upkeep.is_alive():
        return  # the end of the process frees what they use; we must not under their hands
    rooms.capture.close()
    rooms.registry.close()
