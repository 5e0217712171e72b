"""The numbers of capture, and of our own programs and maps in the kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sensor.node.capture.capture import Capture
from sensor.node.capture.program_stats import ProgramStatistics
from sensor.node.upkeep import Upkeep
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


def register(telemetry: Telemetry, capture: Capture, upkeep: Upkeep) -> None:
    _register_programs(telemetry, capture)
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


def _of_programs(statistics: ProgramStatistics, field: str) -> Callable[[], Mapping[str, float]]:
    """What this kernel does not tell is left out."""

    def read() -> Mapping[str, float]:
        told = {name: getattr(each, field) for name, each in statistics.read().items()}
        return {name: value for name, value in told.items() if value is not None}

    return read
