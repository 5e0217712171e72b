"""The node program's numbers, read where they are counted. See docs/metrics.md for what each means."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sensor.model.package import Ecosystem, SkipReason
from sensor.node import cri_metrics, delivery_metrics, kube_metrics
from sensor.node.capture.capture import Capture
from sensor.node.capture.program_stats import ProgramStatistics
from sensor.node.deliver import Delivery
from sensor.node.introspect.introspector import OUTCOMES
from sensor.node.reporter import Reporter
from sensor.node.resolve.dispatch import Dispatcher
from sensor.node.upkeep import Rooms, Upkeep
from sensor.telemetry.metrics import Kind, Telemetry

_OF_PROGRAMS = (
    (
        "bpf_program_run_seconds",
        "Time that our kernel programs ran, while the kernel counted it.",
        "run_seconds",
        Kind.COUNTER,
    ),
    ("bpf_program_runs", "Runs of our kernel programs, while the kernel counted them.", "runs", Kind.COUNTER),
    (
        "bpf_program_misses",
        "Runs that the kernel left out: the program ran on that CPU already.",
        "misses",
        Kind.COUNTER,
    ),
    (
        "bpf_program_verified_instructions",
        "Instructions that the verifier went through.",
        "verified_instructions",
        Kind.GAUGE,
    ),
    ("bpf_program_jited_bytes", "Size of the machine code.", "jited_bytes", Kind.GAUGE),
)
"""Metric, help, field of ``ProgramFigures``, kind."""


def register(
    telemetry: Telemetry, rooms: Rooms, upkeep: Upkeep, reporter: Reporter, delivery: Delivery
) -> None:
    """Add every metric of the node program."""
    telemetry.register(
        "report_failures", "Deliveries of the report that did not arrive.", lambda: reporter.failures
    )
    _register_capture(telemetry, rooms, upkeep)
    _register_programs(telemetry, rooms.capture)
    _register_pipeline(telemetry, rooms)
    _register_introspection(telemetry, rooms)
    _register_containers(telemetry, rooms)
    _register_sources(telemetry, rooms)
    delivery_metrics.register(telemetry, delivery)


def _register_capture(telemetry: Telemetry, rooms: Rooms, upkeep: Upkeep) -> None:
    capture = rooms.capture
    telemetry.register(
        "kernel_events",
        "Opens and execs by the way they left the kernel programs; ring_full and fault are lost.",
        lambda: {counter.name.lower(): value for counter, value in capture.counters().items()},
        labels=("outcome",),
    )
    telemetry.register(
        "malformed_records", "Records of the ring that could not be read.", lambda: capture.malformed
    )
    telemetry.register(
        "loss_rescans", "Times that lost events made processes be scanned again.", lambda: upkeep.rescans
    )
    telemetry.register(
        "upkeep_failures", "Steps of upkeep that failed; the log says how.", lambda: upkeep.failures
    )
    telemetry.register(
        "hook_info", "The hook in use.", lambda: {capture.hook: 1}, kind=Kind.GAUGE, labels=("hook",)
    )
    telemetry.register(
        "hook_refused_info",
        "Hooks that were tried before the one in use, and why the kernel would not have them.",
        lambda: dict.fromkeys(capture.refusals.items(), 1),
        kind=Kind.GAUGE,
        labels=("hook", "reason"),
    )


def _register_programs(telemetry: Telemetry, capture: Capture) -> None:
    """What the kernel says of our own programs and maps."""
    statistics, fill = capture.program_statistics, capture.map_fill
    for name, help_, field, kind in _OF_PROGRAMS:
        telemetry.register(name, help_, _of_programs(statistics, field), kind=kind, labels=("program",))
    telemetry.register(
        "bpf_statistics_on",
        "1 while the kernel counts time and runs of programs (kernel.bpf_stats_enabled).",
        lambda: int(statistics.is_on),
        kind=Kind.GAUGE,
    )
    telemetry.register(
        "bpf_statistics_seconds",
        "Time for which the kernel counted time and runs of programs.",
        lambda: statistics.seconds,
    )
    telemetry.register(
        "kernel_handling_seconds",
        "Time that our kernel programs took for the events of containers that they timed.",
        lambda: {what: timed.seconds for what, timed in capture.timed().items()},
        labels=("what",),
    )
    telemetry.register(
        "kernel_handling_samples",
        "Events of containers that our kernel programs timed: one open in 1,024, every exec.",
        lambda: {what: timed.runs for what, timed in capture.timed().items()},
        labels=("what",),
    )
    telemetry.register(
        "bpf_map_entries",
        "Entries of the kernel's maps at the last count, once a minute.",
        lambda: {name: each.entries for name, each in fill.read().items() if each.entries is not None},
        kind=Kind.GAUGE,
        labels=("map",),
    )
    telemetry.register(
        "bpf_map_max_entries",
        "What the kernel's maps hold at most.",
        lambda: {name: each.maximum for name, each in fill.read().items()},
        kind=Kind.GAUGE,
        labels=("map",),
    )
    telemetry.register(
        "bpf_map_count_age_seconds",
        "Time since the entries of the kernel's maps were counted.",
        lambda: fill.age,
        kind=Kind.GAUGE,
    )


def _register_pipeline(telemetry: Telemetry, rooms: Rooms) -> None:
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


def _register_containers(telemetry: Telemetry, rooms: Rooms) -> None:
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
        cri_metrics.register(telemetry, rooms.sources.cri)
    if (pods := rooms.sources.pods) is not None:
        kube_metrics.register(telemetry, pods.counters, pods.store, pods.owners)
        telemetry.register(
            "owner_requests",
            "Requests for owners of pods that came to nothing.",
            lambda: {"dropped": pods.requests.dropped, "failed": pods.requests.failures},
            labels=("outcome",),
        )


def _of_programs(statistics: ProgramStatistics, field: str) -> Callable[[], Mapping[str, float]]:
    """What this kernel does not tell is left out."""

    def read() -> Mapping[str, float]:
        told = {name: getattr(each, field) for name, each in statistics.read().items()}
        return {name: value for name, value in told.items() if value is not None}

    return read


def _resolved(dispatchers: list[Dispatcher]) -> Mapping[str, float]:
    return {
        str(ecosystem): sum(dispatcher.resolved.get(ecosystem, 0) for dispatcher in dispatchers)
        for ecosystem in Ecosystem
    }


def _skipped(dispatchers: list[Dispatcher]) -> Mapping[str, float]:
    return {
        str(reason): sum(dispatcher.skipped[reason] for dispatcher in dispatchers) for reason in SkipReason
    }
