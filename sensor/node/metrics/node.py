"""Every metric of the node program."""

from __future__ import annotations

from sensor.node.deliver import Delivery
from sensor.node.metrics import capture, containers, pipeline
from sensor.node.metrics import delivery as uploads
from sensor.node.reporter import Reporter
from sensor.node.upkeep import Rooms, Upkeep
from sensor.telemetry.metrics import Telemetry


def register(
    telemetry: Telemetry, rooms: Rooms, upkeep: Upkeep, reporter: Reporter, delivery: Delivery
) -> None:
    """Add every metric of the node program."""
    telemetry.register(
        "report_failures", "Deliveries of the report that did not arrive.", lambda: reporter.failures
    )
    capture.register(telemetry, rooms.capture, upkeep)
    pipeline.register(telemetry, rooms)
    containers.register(telemetry, rooms)
    uploads.register(telemetry, delivery)
