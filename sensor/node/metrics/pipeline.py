"""The numbers on the way from an event to a package."""

from __future__ import annotations

from collections.abc import Mapping

from sensor.model.package import Ecosystem, SkipReason
from sensor.node.introspect.introspector import OUTCOMES
from sensor.node.resolve.dispatch import Dispatcher
from sensor.node.upkeep import Rooms
from sensor.telemetry.metrics import Kind, Telemetry


def register(telemetry: Telemetry, rooms: Rooms) -> None:
    _register_introspection(telemetry, rooms)
    pipeline, natives, coverage = rooms.pipeline, rooms.natives, rooms.coverage
    telemetry.register(
        "events",
        "Events by their way out of the pipeline, resolution aside.",
        lambda: {
            "received": pipeline.counters.received,
            "no_container": pipeline.counters.no_container,
            "excluded": pipeline.counters.excluded,
            "no_root": pipeline.counters.no_root,
            "failed": pipeline.counters.failed,
        },
        labels=("outcome",),
    )
    telemetry.register(
        "backlog_batches",
        "Batches of events, of 64 KiB at most, waiting to be resolved.",
        lambda: pipeline.backlog,
        kind=Kind.GAUGE,
    )
    telemetry.register(
        "abandoned_workers",
        "Workers given up because a container's file system hung.",
        lambda: pipeline.counters.abandoned_workers,
    )
    telemetry.register(
        "resolved_packages",
        "Uses of packages that opened files proved.",
        lambda: _resolved(pipeline.dispatchers),
        labels=("ecosystem",),
    )
    telemetry.register(
        "skipped_files",
        "Opened files that proved no package, by reason.",
        lambda: _skipped(pipeline.dispatchers),
        labels=("reason",),
    )
    telemetry.register(
        "resolver_failures",
        "Files on which a resolver failed; the log says how.",
        lambda: sum(dispatcher.failures for dispatcher in pipeline.dispatchers),
    )
    telemetry.register(
        "native_grades_dropped", "Native modules left at a weaker grade.", lambda: natives.dropped
    )
    telemetry.register(
        "open_scans", "Processes waiting to be scanned.", lambda: coverage.open_scans, kind=Kind.GAUGE
    )


def _register_introspection(telemetry: Telemetry, rooms: Rooms) -> None:
    introspector = rooms.introspector
    telemetry.register(
        "introspected_processes",
        "Processes that are asked what they have loaded.",
        lambda: {"known": introspector.processes, "unasked": introspector.waiting},
        kind=Kind.GAUGE,
        labels=("state",),
    )
    telemetry.register(
        "introspections",
        "Times that processes were asked, by what came of it.",
        lambda: dict.fromkeys(OUTCOMES, 0) | introspector.counters,
        labels=("outcome",),
    )
    telemetry.register(
        "introspection_seconds", "Time spent on asking processes.", lambda: introspector.seconds
    )


def _resolved(dispatchers: list[Dispatcher]) -> Mapping[str, float]:
    return {
        str(ecosystem): sum(dispatcher.resolved.get(ecosystem, 0) for dispatcher in dispatchers)
        for ecosystem in Ecosystem
    }


def _skipped(dispatchers: list[Dispatcher]) -> Mapping[str, float]:
    return {
        str(reason): sum(dispatcher.skipped[reason] for dispatcher in dispatchers) for reason in SkipReason
    }
