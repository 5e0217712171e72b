"""The numbers of asking the API server. See docs/metrics.md for what each means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sensor.telemetry.metrics import Kind, Telemetry

if TYPE_CHECKING:  # 3 MiB that a node without Kubernetes does not need
    from sensor.kube.counters import KubeCounters
    from sensor.kube.owners import Owners
    from sensor.kube.pod_store import PodStore


def register(telemetry: Telemetry, counters: KubeCounters, pods: PodStore, owners: Owners) -> None:
    """Add them; what counts is the ``counters`` of :class:`sensor.kube.api_server.ApiServer`."""
    telemetry.register(
        "kube_requests",
        "Requests to the API server; result is a status or the reason of a failure.",
        lambda: dict(counters.requests),
        labels=("verb", "resource", "result"),
    )
    telemetry.register(
        "kube_received_bytes",
        "Received from the API server, compressed, headers and TLS aside.",
        lambda: counters.bytes_received,
    )
    telemetry.register("kube_events", "Changes of pods that watches told.", lambda: counters.events)
    telemetry.register(
        "kube_watch_restarts", "Watches that were begun after one had ended.", lambda: counters.watch_restarts
    )
    telemetry.register(
        "kube_relists",
        "Lists made anew, as the server no longer knew what came since.",
        lambda: counters.relists,
    )
    telemetry.register(
        "kube_dropped",
        "What of the API server's answers was left out, as it is of no form that Kubernetes has.",
        lambda: dict(counters.dropped),
        labels=("what",),
    )
    telemetry.register(
        "kube_failures", "Defects at a watch's edge; the log says how.", lambda: counters.failures
    )
    telemetry.register("pods", "Pods known now.", lambda: len(pods), kind=Kind.GAUGE)
    telemetry.register("pods_refused", "Pods that there was no room for.", lambda: pods.refused)
    telemetry.register(
        "workloads_guessed",
        "Workloads taken from names and labels, as the API server did not tell.",
        lambda: owners.guessed,
    )
