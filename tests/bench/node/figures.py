"""What a node's agent uses: memory split by kind, CPU, losses, bars. Pure but for :func:`memory`."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.report import CPU_BAR_CORES, QUIET_EVENTS, RSS_BAR_MIB

KEY = "node"


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident MiB of the agent: ``ring`` is what it maps of the ring buffer (the kernel counts its pages
    twice, as it maps them twice in a row), ``file`` is without it."""

    anonymous: float
    file: float
    ring: float
    shared: float = 0.0

    @property
    def resident(self) -> float:
        return self.anonymous + self.file + self.ring + self.shared

    def as_json(self) -> dict[str, float]:
        parts = {f"{name}_mib": round(value, 2) for name, value in asdict(self).items()}
        return {"rss_mib": round(self.resident, 2), **parts}


_FIELD = re.compile(r"^Rss(Anon|File|Shmem):\s+(\d+) kB$", re.MULTILINE)
_MAPPING = re.compile(r"^[0-9a-f]+-[0-9a-f]+ .*?(\S*)$")


def memory(pid: int) -> Memory:
    """Of one process, from /proc; raises FileNotFoundError when it has gone."""
    process = Path(f"/proc/{pid}")
    return split((process / "status").read_text(), (process / "smaps").read_text())


def split(status: str, smaps: str) -> Memory:
    """From the two files of proc(5)."""
    found = {name: int(kib) / 1024 for name, kib in _FIELD.findall(status)}
    ring = ring_mib(smaps)
    return Memory(found["Anon"], found["File"] - ring, ring, found["Shmem"])


def ring_mib(smaps: str) -> float:
    """Resident MiB of the mapped maps of eBPF (``anon_inode:bpf-map``): the ring buffer."""
    inside, total = False, 0
    for line in smaps.splitlines():
        if mapping := _MAPPING.match(line):
            inside = mapping[1] == "anon_inode:bpf-map"
        elif inside and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total / 1024


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time: cores of CPU that the agent used, ``opens`` of known package files that the kernel
    programs saw, ``events`` that reached the agent, and events lost, by its own count."""

    seconds: float
    cpu_cores: float
    opens: int
    events: int
    events_lost: int

    def as_json(self) -> dict[str, float]:
        return {name: round(value, 5) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class AgentFigures:
    """One agent: ``ready`` as /readyz first says yes, ``start`` once all containers are reported, ``end``
    after the load, ``churned`` after the churn."""

    ready: Memory
    start: Memory
    end: Memory
    churned: Memory
    peak_mib: float
    load: Span
    churn: Span
    churn_reported: int | None = None
    """Containers of the churn whose packages were all reported; None where nobody looked."""

    def as_json(self) -> dict[str, object]:
        moments = {name: getattr(self, name).as_json() for name in ("ready", "start", "end", "churned")}
        spans = {name: getattr(self, name).as_json() for name in ("load", "churn")}
        return {**moments, **spans, "peak_mib": round(self.peak_mib, 2), "reported": self.churn_reported}


@dataclass(frozen=True, slots=True)
class NodeFigures:
    """``agents`` by how they were started: all of them watched the same load at the same time."""

    containers: int
    images: int
    opens_per_second: float
    churn_per_second: float
    churned: int
    agents: dict[str, AgentFigures]

    def as_json(self) -> dict[str, object]:
        """Under :data:`KEY` in ``build/bench.json``; docs/performance.md explains each key."""
        return {
            "containers": self.containers,
            "images": self.images,
            "opens_per_second": round(self.opens_per_second, 1),
            "churn_per_second": round(self.churn_per_second, 2),
            "churned": self.churned,
            **{name: each.as_json() for name, each in self.agents.items()},
        }


def bars(found: NodeFigures) -> dict[str, tuple[float, float, bool]]:
    """Name -> (figure, bar, met), of each agent. "Under" a bar: a figure that equals it is over."""
    together: dict[str, tuple[float, float, bool]] = {}
    for name, each in found.agents.items():
        lost = float(each.load.events_lost + each.churn.events_lost)
        cores, start, end = each.load.cpu_cores, each.start.resident, each.end.resident
        together |= {
            f"node_{name}_cpu_cores": (cores, CPU_BAR_CORES, cores < CPU_BAR_CORES),
            f"node_{name}_start_mib": (start, RSS_BAR_MIB, start < RSS_BAR_MIB),
            f"node_{name}_end_mib": (end, RSS_BAR_MIB, end < RSS_BAR_MIB),
            f"node_{name}_events_lost": (lost, 0.0, lost == 0),
        }
    return together


def lines(found: NodeFigures) -> list[str]:
    """For people."""
    text = [
        (
            f"a node of {found.containers} containers of {found.images} images, "
            f"{found.opens_per_second:,.0f} package-file opens a second:"
        )
    ]
    for name, each in found.agents.items():
        text += _agent(name, each, bars(found), found)
    return text


def _agent(
    name: str, each: AgentFigures, all_bars: dict[str, tuple[float, float, bool]], found: NodeFigures
) -> list[str]:
    marks = {key: f"{'PASS' if met else 'OVER'}, bar {bar:g}" for key, (_, bar, met) in all_bars.items()}
    reported = "" if each.churn_reported is None else f", {each.churn_reported} of them reported whole"
    load, churn = each.load, each.churn
    beware = f"    beware: {load.events:,} events under load: other containers, or files that were forgotten"
    return [
        (
            f"  agent {name}, {load.seconds:.0f} s: CPU {load.cpu_cores:.4f} cores "
            f"({marks[f'node_{name}_cpu_cores']}), {load.opens:,} opens seen before, {load.events:,} events"
        ),
        f"    memory ready     {_memory(each.ready)}",
        f"    memory at start  {_memory(each.start)} ({marks[f'node_{name}_start_mib']})",
        f"    memory at end    {_memory(each.end)} ({marks[f'node_{name}_end_mib']})",
        (
            f"    churn of {found.churn_per_second:.1f} containers a second, {churn.seconds:.0f} s, "
            f"{found.churned}{reported}: CPU {churn.cpu_cores:.4f} cores, {churn.events:,} events"
        ),
        f"    memory after it  {_memory(each.churned)}, at its highest {each.peak_mib:.1f} MiB",
        (
            f"    events lost: {load.events_lost:,} under load, {churn.events_lost:,} in churn "
            f"({marks[f'node_{name}_events_lost']})"
        ),
        *([beware] if load.events > QUIET_EVENTS else []),
    ]


def _memory(found: Memory) -> str:
    return (
        f"{found.resident:.1f} MiB (anonymous {found.anonymous:.1f}, file {found.file:.1f}, "
        f"ring {found.ring:.1f})"
    )
