"""What the fleet's run found: rows of a table, and JSON. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.bench.report import CPU_BAR_CORES, RSS_BAR_MIB

STEADY_P99_BAR = 1.0
"""Seconds: a sensor gives a request 30."""


@dataclass(frozen=True, slots=True)
class Phase:
    """What arrived within ``seconds``. ``reports`` are states of containers; times are seconds from the
    moment a batch was due to its acknowledgement; ``receiver_cpu`` is cores; ``containers`` is how many
    the receiver must hold by then."""

    seconds: float
    batches: int
    reports: int
    p50: float
    p99: float
    worst: float
    failed: int
    receiver_cpu: float
    containers: int = 0

    @property
    def batches_per_second(self) -> float:
        return self.batches / self.seconds

    @property
    def reports_per_second(self) -> float:
        return self.reports / self.seconds


@dataclass(frozen=True, slots=True)
class NodeSide:
    """A process that holds one real outbox and uploader, with ``containers`` of which ``changes`` a minute
    change; ``base_mib`` is the same process before it has them."""

    containers: int
    changes: float
    seconds: float
    base_mib: float
    rss_mib: float
    peak_mib: float
    cpu_cores: float


@dataclass(frozen=True, slots=True)
class Figures:
    """``first`` is the whole fleet's first snapshot, as fast as it goes; ``steady`` the believable rate;
    ``most`` as much as the receiver takes. Memory is the receiver's."""

    nodes: int
    containers: int
    first: Phase
    steady: Phase
    most: Phase
    rss_mib: float
    peak_rss_mib: float
    database_mib: float
    rows: int
    node_side: NodeSide | None = None

    def as_json(self) -> dict[str, Any]:
        """For ``build/bench.json``."""
        document: dict[str, Any] = _rounded(asdict(self))
        for name in ("first", "steady", "most"):
            phase: Phase = getattr(self, name)
            document[name]["batches_per_second"] = round(phase.batches_per_second, 1)
            document[name]["reports_per_second"] = round(phase.reports_per_second, 1)
        return document


def bars(figures: Figures) -> dict[str, tuple[float, float, bool]]:
    """Name -> (figure, bar, met). The sensor's are those of the whole agent: delivery is a part of it."""
    found = {
        "fleet_steady_p99_seconds": (figures.steady.p99, STEADY_P99_BAR),
        "fleet_failed_batches": (float(figures.first.failed + figures.steady.failed), 0.0),
    }
    if side := figures.node_side:
        found["delivery_rss_mib"] = (side.rss_mib, RSS_BAR_MIB)
        found["delivery_cpu_cores"] = (side.cpu_cores, CPU_BAR_CORES)
    return {name: (figure, bar, figure <= bar) for name, (figure, bar) in found.items()}


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest rank; 0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def lines(figures: Figures) -> list[str]:
    """For people."""
    told = [f"fleet: {figures.nodes:,} simulated nodes with {figures.containers:,} containers, one receiver"]
    named = (
        ("first snapshot of all", figures.first),
        ("steady, every node changing", figures.steady),
        ("as much as it takes", figures.most),
    )
    for name, phase in named:
        failed = f"  {phase.failed} FAILED" if phase.failed else ""
        told.append(
            f"  {name:<28}{phase.reports_per_second:8,.0f} reports/s"
            f" {phase.batches_per_second:6,.0f} batches/s"
            f"  p50 {1000 * phase.p50:5.0f} ms  p99 {1000 * phase.p99:5.0f} ms"
            f"  receiver {phase.receiver_cpu:.2f} cores{failed}"
        )
    told.append(
        f"  receiver: memory {figures.rss_mib:,.0f} MiB, at its highest {figures.peak_rss_mib:,.0f} MiB;"
        f" database {figures.database_mib:,.0f} MiB, {figures.rows:,} containers in it"
    )
    if side := figures.node_side:
        told.append(
            f"  a sensor's delivery, {side.containers} containers, {side.changes:g} changes a minute:"
            f" memory {side.rss_mib:.1f} MiB (of it {side.base_mib:.1f} before), {side.cpu_cores:.4f} cores"
        )
    return told


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return round(value, 4) if isinstance(value, float) else value
