"""From readings to figures: medians, what each tool adds, the JSON. Pure."""

from __future__ import annotations

import enum
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tests.bench.resolver_cost import ResolverCost

CONTENDERS = ("base", "sensor", "opensnoop", "bpftrace", "bcc_opensnoop")
TOOLS = CONTENDERS[1:]

RESOLVERS = "resolver_cost"

Measure = Literal["cpu_ns", "wall_ns", "typical_ns"]

RSS_BAR_MIB = 64.0
CPU_BAR_CORES = 0.01
# First opens and execs in the time of the load, by the container's own processes.
QUIET_EVENTS = 100


class Case(enum.StrEnum):
    """What the probe times."""

    OPEN_OTHER = "open_other"  # open+close of a file that is no package
    OPEN_SEEN = "open_seen"  # open+close of a package file seen before
    OTHER_SYSCALL = "other_syscall"  # getppid
    EXEC = "exec"  # vfork, execve of a static program that was run before, its end, wait


# ns that the sensor may add to one operation.
ADDED_BARS_NS = {Case.OPEN_OTHER: 100.0, Case.OPEN_SEEN: 200.0, Case.OTHER_SYSCALL: 30.0}
# What it adds to an open for each ns that opensnoop adds.
OPENSNOOP_RATIO_BAR = 0.08


@dataclass(frozen=True, slots=True)
class Reading:
    """One batch of the probe: ns for one operation."""

    case: Case
    cpu_ns: float
    wall_ns: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of the probe beside one contender: ns for one operation.

    ``cpu_ns`` and ``wall_ns`` are those of the run's quiet batches (see :func:`quiet`), ``typical_ns`` is the
    CPU time of its median batch.
    """

    round: int
    contender: str
    case: Case
    cpu_ns: float
    wall_ns: float
    typical_ns: float


@dataclass(frozen=True, slots=True)
class Spread:
    """A median over rounds, with the lowest and the highest round."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Raises ValueError (statistics.StatisticsError) when there is no value."""
        numbers = list(values)
        return cls(statistics.median(numbers), min(numbers), max(numbers))

    def as_json(self) -> dict[str, float]:
        return {"median": round(self.median, 1), "low": round(self.low, 1), "high": round(self.high, 1)}


@dataclass(frozen=True, slots=True)
class PeerTally:
    """Events of the probe that a peer printed, and events that it says it lost, over all rounds."""

    opens: int
    printed: int
    lost: int


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The agent after ``seconds`` of ``opens_per_second`` repeated opens of package files.

    ``events`` reached the agent meanwhile: hardly any, unless other containers were at work.
    """

    seconds: float
    opens_per_second: float
    rss_mib: float
    peak_rss_mib: float
    cpu_cores: float
    events_lost: int
    events: int = 0

    @property
    def disturbed(self) -> bool:
        """Whether the agent had more to do than the load."""
        return self.events > QUIET_EVENTS


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a run found. ``disturbed`` counts probe runs beside which foreign tracing programs ran."""

    samples: tuple[Sample, ...]
    load: LoadResult
    events_lost: int
    peers: dict[str, PeerTally] = field(default_factory=dict)
    disturbed: int = 0
    quick: bool = False
    silent_peers: bool = False
    environment: dict[str, object] = field(default_factory=dict)
    delivering: LoadResult | None = None
    """The same load on an agent that delivers to a receiver, by gRPC, with its state on the disk."""
    resolvers: dict[str, ResolverCost] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """Peer that does not work on this machine -> what it said of it."""
    hook: str = "unknown"


def quiet(values: Sequence[float]) -> float:
    """The lower decile (nearest rank) of a run's batches; raises ValueError when there is none.

    What a tool costs is in every batch of thousands of operations; what neighbours on the same hardware cost
    comes and goes, and doubles whole runs of batches on a shared machine. The median would report them.
    """
    if not values:
        raise ValueError("no batch was timed; expected at least one")
    return sorted(values)[(len(values) - 1) // 10]


def samples_of(round_number: int, contender: str, readings: Sequence[Reading]) -> list[Sample]:
    """Reduce the batches of one probe run to one sample a case; raises ValueError when a case has none."""
    samples: list[Sample] = []
    for case in Case:
        own = [reading for reading in readings if reading.case is case]
        cpu = [reading.cpu_ns for reading in own]
        wall = quiet([reading.wall_ns for reading in own])
        samples.append(Sample(round_number, contender, case, quiet(cpu), wall, statistics.median(cpu)))
    return samples


def absolute(samples: Sequence[Sample], case: Case, contender: str, measure: Measure = "cpu_ns") -> Spread:
    """ns for one operation beside ``contender``, over the rounds."""
    return Spread.of(_by_round(samples, case, contender, measure).values())


def added(samples: Sequence[Sample], case: Case, tool: str, measure: Measure = "cpu_ns") -> Spread:
    """ns that ``tool`` adds to one operation: against the base of the same round, then over the rounds.

    Pairing takes the slow drift of a shared machine out of the difference.
    """
    base = _by_round(samples, case, "base", measure)
    own = _by_round(samples, case, tool, measure)
    return Spread.of(own[number] - base[number] for number in own)


def added_fastest(samples: Sequence[Sample], case: Case, tool: str) -> float:
    """ns between the fastest round beside ``tool`` and the fastest without any.

    Less disturbed than :func:`added` on a machine whose neighbours slow down some whole runs; of a peer it
    is the cheapest way it was seen to work, such as dropping events instead of waking its reader.
    """
    return absolute(samples, case, tool).low - absolute(samples, case, "base").low


def tools(samples: Sequence[Sample]) -> tuple[str, ...]:
    """Those of :data:`TOOLS` that were measured, the sensor first."""
    measured = {sample.contender for sample in samples}
    return tuple(tool for tool in TOOLS if tool in measured)


def ratio(samples: Sequence[Sample], case: Case, peer: str) -> float | None:
    """What the sensor adds for each ns that ``peer`` adds; None when the peer adds nothing measurable."""
    theirs = added(samples, case, peer).median
    return added(samples, case, "sensor").median / theirs if theirs > 0 else None


def ratio_fastest(samples: Sequence[Sample], case: Case, peer: str) -> float | None:
    """The same of :func:`added_fastest`."""
    theirs = added_fastest(samples, case, peer)
    return added_fastest(samples, case, "sensor") / theirs if theirs > 0 else None


def bars(report: Report) -> dict[str, tuple[float, float, bool]]:
    """Name -> (figure, bar, met). The bars come from the project's requirements and are never loosened."""
    found = _added_bars(report)
    found |= _bars("agent", report.load)
    return found | _bars("delivering_agent", report.delivering) if report.delivering else found


def _added_bars(report: Report) -> dict[str, tuple[float, float, bool]]:
    """Between the fastest rounds: on a machine with neighbours the medians of some runs are below them and of
    others far above."""
    figures = {
        f"added_{case}_ns": (added_fastest(report.samples, case, "sensor"), bar)
        for case, bar in ADDED_BARS_NS.items()
    }
    # Peers that were told not to hand events over say nothing of what handing them over costs.
    for case in (Case.OPEN_OTHER, Case.OPEN_SEEN) if not report.silent_peers else ():
        found = ratio_fastest(report.samples, case, "opensnoop")
        figures[f"{case}_to_opensnoop"] = (math.inf if found is None else found, OPENSNOOP_RATIO_BAR)
    return {name: (figure, bar, figure <= bar) for name, (figure, bar) in figures.items()}


def _bars(name: str, load: LoadResult) -> dict[str, tuple[float, float, bool]]:
    return {
        f"{name}_rss_mib": (load.rss_mib, RSS_BAR_MIB, load.rss_mib <= RSS_BAR_MIB),
        f"{name}_cpu_cores": (load.cpu_cores, CPU_BAR_CORES, load.cpu_cores <= CPU_BAR_CORES),
    }


def _by_round(samples: Sequence[Sample], case: Case, contender: str, measure: Measure) -> dict[int, float]:
    return {
        sample.round: float(getattr(sample, measure))
        for sample in samples
        if sample.case is case and sample.contender == contender
    }
