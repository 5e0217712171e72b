"""Builds and wires ``runtime-sensor node --workload-type deployment``; no logic."""

from __future__ import annotations

import logging
import sys
import threading
import time
from dataclasses import dataclass, replace

from sensor.config.kube import KubeSettings
from sensor.config.node import NodeSettings
from sensor.delivery.sink import SinkError
from sensor.kube.api_server import ApiServer
from sensor.kube.connect import connect
from sensor.kube.errors import KubeError
from sensor.kube.owners import Owners
from sensor.kube.pod_store import CLUSTER_PODS, KnownPod, PodStore
from sensor.kube.pod_watch import PodWatch
from sensor.model.pod import Pod
from sensor.node.deliver import Delivery
from sensor.node.deployment import metrics
from sensor.node.deployment.ledger import Ledger
from sensor.node.deployment.reporter import PodReporter
from sensor.node.metrics import delivery as delivery_metrics
from sensor.node.metrics import kube as kube_metrics
from sensor.node.program import bound_allocator, flush, serve, stop_on_signals
from sensor.telemetry.health import Health
from sensor.telemetry.metrics import Telemetry
from sensor.telemetry.server import ServerError

log = logging.getLogger(__name__)

PODS = "pods"
"""The stage of health: every pod was listed, and the API server is heard of."""
SILENT = 900.0
"""Seconds without a word of the API server after which the sensor is not ready: a watch lasts ten minutes."""
STOP_WITHIN = 1.0
FINISH_WITHIN = 3.0
"""Seconds after the signal to end for what has changed to be reported."""


@dataclass(frozen=True, slots=True)
class Rooms:
    pods: PodStore
    watch: PodWatch
    owners: Owners
    ledger: Ledger
    reporter: PodReporter
    health: Health


def run(settings: NodeSettings) -> int:
    """Report the running containers of the cluster until a signal, the duration, or the reader of the output
    ends it. Returns the exit code of ``runtime-sensor node``."""
    stop = threading.Event()
    stop_on_signals(stop)
    bound_allocator()
    try:
        api = connect(settings.kube or KubeSettings(), settings.node)
        # Without a node, whose a snapshot would be: this one is the cluster's.
        delivery = Delivery(replace(settings, node=None))
    except (KubeError, SinkError) as error:
        return _failed(error)
    rooms = _build(settings, api, delivery)
    telemetry = Telemetry()
    metrics.register(telemetry, rooms.ledger, rooms.reporter)
    kube_metrics.register(telemetry, api.counters, rooms.pods, rooms.owners)
    delivery_metrics.register(telemetry, delivery)
    try:
        server = serve(settings, telemetry, rooms.health)
    except ServerError as error:
        delivery.close(0.0)
        return _failed(error)
    try:
        return _run(settings, rooms, delivery, stop)
    finally:
        if server is not None:
            server.close()


def _build(settings: NodeSettings, api: ApiServer, delivery: Delivery) -> Rooms:
    health, owners = Health(PODS), Owners(api)
    pods = PodStore(CLUSTER_PODS, kept=0.0, on_change=lambda known: reporter.changed(known.pod.uid))
    ledger = Ledger(settings.cluster, settings.filters, lambda uid: _there(pods.by_uid(uid)), owners.workload)
    reporter = PodReporter(ledger, delivery.sink, health, settings.debounce)
    reporter.is_listed = lambda: pods.synced
    reporter.remembered = lambda: (one.report for one in delivery.remembered())
    reporter.lost, reporter.on_whole = delivery.take_lost, delivery.snapshot
    reporter.on_round = lambda: _look_at_health(health, pods, time.time())
    return Rooms(pods, PodWatch(api, pods, None), owners, ledger, reporter, health)


def _there(known: KnownPod | None) -> Pod | None:
    return known.pod if known is not None and known.gone_at is None else None


def _look_at_health(health: Health, pods: PodStore, now: float) -> None:
    if not pods.synced:
        health.set(PODS, ok=False, reason="have not been listed whole yet")
    elif pods.updated_at is not None and now - pods.updated_at > SILENT:
        health.set(PODS, ok=False, reason=f"nothing was heard of the API server for {SILENT / 60:.0f} min")
    else:
        health.set(PODS, ok=True)


def _run(settings: NodeSettings, rooms: Rooms, delivery: Delivery, stop: threading.Event) -> int:
    rooms.watch.start()
    delivery.start()
    try:
        rooms.reporter.run(stop, settings.duration)
    finally:
        rooms.watch.stop(STOP_WITHIN)
        code = flush(settings, delivery, rooms.reporter.finish(FINISH_WITHIN))
    return code


def _failed(error: Exception) -> int:
    print(f"runtime-sensor node: {error}", file=sys.stderr)  # noqa: T201 - for people
    return 1
