"""The numbers of containers: admitted, held, named, known."""

from __future__ import annotations

from sensor.node.metrics import cri, kube
from sensor.node.upkeep import Rooms
from sensor.telemetry.metrics import Kind, Telemetry


def register(telemetry: Telemetry, rooms: Rooms) -> None:
    _register_sources(telemetry, rooms)
    registry, inventory, describer = rooms.registry, rooms.inventory, rooms.describer
    telemetry.register(
        "containers",
        "Containers by what happened to them.",
        lambda: {
            "admitted": registry.counters.admitted,
            "ended": registry.counters.ended,
            "released": registry.counters.released,
            "evicted": registry.counters.evicted,
            "root_unavailable": registry.counters.root_unavailable,
            "not_a_container": registry.counters.not_a_container,
        },
        labels=("outcome",),
    )
    telemetry.register(
        "unreported_containers",
        "Containers that were not reported: the filters exclude them or they are pods' sandboxes; or they "
        "ended before it was known whether the filters do.",
        lambda: {
            "excluded": inventory.counts().excluded_containers,
            "unanswered": inventory.counts().unanswered_containers,
        },
        labels=("reason",),
    )
    telemetry.register(
        "unnamed_containers",
        "Look-ups of containers' names that were given up.",
        lambda: {"dropped": describer.dropped, "failed": describer.failures},
        labels=("reason",),
    )
    telemetry.register(
        "ignored_namespaces",
        "Mount namespaces of no container, which the kernel was told to ignore.",
        lambda: registry.ignored_namespaces,
        kind=Kind.GAUGE,
    )
    telemetry.register(
        "held_roots", "Containers' roots held open.", lambda: registry.held_roots, kind=Kind.GAUGE
    )
    telemetry.register(
        "inventory",
        "Containers and packages known now.",
        lambda: {"containers": inventory.counts().containers, "packages": inventory.counts().packages},
        kind=Kind.GAUGE,
        labels=("what",),
    )
    telemetry.register(
        "inventory_dropped",
        "Containers and packages dropped for want of room.",
        lambda: {
            "containers": inventory.counts().dropped_containers,
            "packages": inventory.counts().dropped_packages,
        },
        labels=("what",),
    )


def _register_sources(telemetry: Telemetry, rooms: Rooms) -> None:
    telemetry.register(
        "unseen_containers",
        "Containers that run, by what others say, of which no process was seen.",
        lambda: rooms.deployed.unseen,
        kind=Kind.GAUGE,
    )
    if rooms.sources.cri is not None:
        cri.register(telemetry, rooms.sources.cri)
    if (pods := rooms.sources.pods) is not None:
        kube.register(telemetry, pods.counters, pods.store, pods.owners)
        telemetry.register(
            "owner_requests",
            "Requests for owners of pods that came to nothing.",
            lambda: {"dropped": pods.requests.dropped, "failed": pods.requests.failures},
            labels=("outcome",),
        )
