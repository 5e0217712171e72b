"""The numbers of asking container runtimes. See docs/metrics.md for what each means."""

from __future__ import annotations

from sensor.node.identify.cri.source import CriMetadata
from sensor.telemetry.metrics import Kind, Telemetry


def register(telemetry: Telemetry, cri: CriMetadata) -> None:
    telemetry.register(
        "cri_calls",
        "Calls of container runtimes by what came of them.",
        lambda: dict(cri.counters.calls),
        labels=("method", "result"),
    )
    telemetry.register(
        "cri_reconnects",
        "Connections to a container runtime that replaced a lost one.",
        lambda: cri.counters.reconnects,
    )
    telemetry.register(
        "cri_events",
        "Changes that container runtimes told, by what they were good for.",
        lambda: {"taken": cri.counters.events, "unusable": cri.counters.events_unusable},
        labels=("outcome",),
    )
    telemetry.register(
        "cri_streams", "Streams of events open now.", lambda: cri.counters.streams, kind=Kind.GAUGE
    )
    telemetry.register(
        "cri_cached",
        "Containers and sandboxes of which is known what the runtime told.",
        lambda: {"containers": cri.counters.containers, "sandboxes": cri.counters.sandboxes},
        kind=Kind.GAUGE,
        labels=("what",),
    )
    telemetry.register(
        "cri_cut", "Containers and pods of answers beyond what is kept.", lambda: cri.counters.cut
    )
