"""Deployment mode's own numbers. See docs/metrics.md for what each means."""

from __future__ import annotations

from sensor.node.deployment.ledger import Ledger
from sensor.node.deployment.reporter import PodReporter
from sensor.telemetry.metrics import Kind, Telemetry


def register(telemetry: Telemetry, ledger: Ledger, reporter: PodReporter) -> None:
    telemetry.register(
        "report_failures", "Deliveries of the report that did not arrive.", lambda: reporter.failures
    )
    telemetry.register(
        "pods_by_filter",
        "Pods by what the filters say of them.",
        lambda: {
            "in": ledger.counts().reported,
            "out": ledger.counts().filtered_out,
            "unknown": ledger.counts().waiting,
        },
        kind=Kind.GAUGE,
        labels=("verdict",),
    )
    telemetry.register(
        "deployed_containers",
        "Containers that run and are reported.",
        lambda: ledger.counts().containers,
        kind=Kind.GAUGE,
    )
