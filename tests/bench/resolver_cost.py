"""What one opened file costs a resolver, from single timings. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

TITLES = {"python": "Python", "node": "Node.js", "java": "Java", "go": "Go", "dotnet": ".NET"}


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Microseconds for one file: in the middle, and of all but the slowest hundredth."""

    median: float
    p99: float

    @classmethod
    def of(cls, microseconds: Sequence[float]) -> Quantiles:
        """Nearest rank; raises ValueError when there is nothing."""
        if not microseconds:
            raise ValueError("no file was timed; expected at least one")
        ranked = sorted(microseconds)
        return cls(statistics.median(ranked), ranked[-(-99 * len(ranked) // 100) - 1])


@dataclass(frozen=True, slots=True)
class Peer:
    """Somebody else at the same files: microseconds in all, for both."""

    name: str
    resolver_us: float
    peer_us: float

    @property
    def ratio(self) -> float:
        """What the resolver takes for each microsecond of the peer."""
        return self.resolver_us / self.peer_us


@dataclass(frozen=True, slots=True)
class ResolverCost:
    """Of one language: ``packages`` are the distinct ones that the files proved."""

    files: int
    packages: int
    first: Quantiles
    seen: Quantiles
    peer: Peer | None = None

    def as_json(self) -> dict[str, object]:
        return {
            "files": self.files,
            "packages": self.packages,
            "first_us": _json(self.first),
            "seen_us": _json(self.seen),
            "peer": None
            if self.peer is None
            else {
                "name": self.peer.name,
                "resolver_us": round(self.peer.resolver_us, 1),
                "peer_us": round(self.peer.peer_us, 1),
                "ratio": round(self.peer.ratio, 4),
            },
        }


def typical(rounds: Sequence[Sequence[float]]) -> list[float]:
    """Each file's median over the rounds, which all have the files in one order."""
    return [statistics.median(timings) for timings in zip(*rounds, strict=True)]


def rows(costs: dict[str, ResolverCost]) -> list[list[str]]:
    """A heading and a row for each language; all cells are texts."""
    heading = ["", "files", "packages", "first: median", "p99", "seen: median", "p99", "beside"]
    return [heading, *(_row(language, cost) for language, cost in costs.items())]


def _row(language: str, cost: ResolverCost) -> list[str]:
    figures = (cost.first.median, cost.first.p99, cost.seen.median, cost.seen.p99)
    beside = "-" if cost.peer is None else f"{cost.peer.ratio:.2g} of {cost.peer.name}"
    cells = [f"{figure:,.1f}" for figure in figures]
    return [TITLES.get(language, language), f"{cost.files:,}", f"{cost.packages:,}", *cells, beside]


def _json(quantiles: Quantiles) -> dict[str, float]:
    return {"median": round(quantiles.median, 2), "p99": round(quantiles.p99, 2)}
