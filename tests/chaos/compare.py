"""The truth against what the receiver holds. Pure.

``lost``      a container or a package that must be there and is not
``doubled``   a container with more than one row, a package more than once in one container
``invented``  a container or a package that was never there
``state``     one that runs said to have ended, or the other way round
``time``      a first sight or an end before it happened, or later than it was known
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.truth import Expected

KINDS = ("lost", "doubled", "invented", "state", "time")
SLACK = 1.0
"""Seconds by which times may differ: processes' starts are told in clock ticks, wall clocks are slewed."""


@dataclass(frozen=True, slots=True)
class HeldPackage:
    """``first_seen`` in seconds of CLOCK_MONOTONIC, as in :mod:`tests.chaos.truth`."""

    purl: str
    first_seen: float


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the receiver's table of containers; times as in :class:`HeldPackage`."""

    container_id: str
    first_seen: float
    ended_at: float | None
    packages: tuple[HeldPackage, ...]
    coverage: str = "complete"
    sender_id: str = ""
    image: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """``at``: when that happened of which it is about, where that is known."""

    kind: str
    container: str
    package: str | None
    found: str
    at: float | None = None


def compare(
    truth: Sequence[Expected], rows: Sequence[Row], unknowable: frozenset[str] = frozenset()
) -> list[Difference]:
    """``unknowable`` are ids of containers that may be there and need not."""
    by_id: dict[str, list[Row]] = {}
    for row in rows:
        by_id.setdefault(row.container_id, []).append(row)
    found = [difference for each in truth for difference in _container(each, by_id.pop(each.id, []))]
    for name, strangers in by_id.items():
        if name not in unknowable:
            found.append(Difference("invented", name, None, f"{len(strangers)} rows of no container of ours"))
    return found


def counts(differences: Sequence[Difference]) -> Mapping[str, int]:
    """Of each of :data:`KINDS`."""
    found = Counter(difference.kind for difference in differences)
    return {kind: found[kind] for kind in KINDS}


def _container(truth: Expected, rows: Sequence[Row]) -> Iterator[Difference]:
    if not rows:
        yield Difference("lost", truth.name, None, "the container is not there", truth.known_by)
        for fact in truth.must:
            yield Difference("lost", truth.name, fact.purl, "its container is not there", fact.earliest)
        return
    if len(rows) > 1:
        yield Difference("doubled", truth.name, None, f"{len(rows)} rows of one container", truth.known_by)
    for row in rows:
        yield from _packages(truth, row)
        yield from _state(truth, row)


def _packages(truth: Expected, row: Row) -> Iterator[Difference]:
    held = Counter(package.purl for package in row.packages)
    first_seen = {package.purl: package.first_seen for package in row.packages}
    for fact in truth.must:
        if fact.purl not in held:
            yield Difference("lost", truth.name, fact.purl, "the package is not there", fact.earliest)
        elif not fact.earliest - SLACK <= first_seen[fact.purl] <= fact.latest + SLACK:
            told = _window(first_seen[fact.purl], fact.earliest, fact.latest)
            yield Difference("time", truth.name, fact.purl, f"first seen {told}", fact.earliest)
    for purl, times in sorted(held.items()):
        if times > 1:
            yield Difference("doubled", truth.name, purl, f"{times} times in one container")
        if purl not in truth.may:
            yield Difference("invented", truth.name, purl, "it was never loaded", first_seen[purl])


def _state(truth: Expected, row: Row) -> Iterator[Difference]:
    if row.first_seen > truth.known_by + SLACK:
        late = row.first_seen - truth.known_by
        yield Difference("time", truth.name, None, f"first seen {late:.1f} s too late", truth.known_by)
    if truth.end is None:
        if row.ended_at is not None:
            yield Difference("state", truth.name, None, "it runs and is said to have ended", row.ended_at)
        return
    ended, known_by = truth.end
    if row.ended_at is None:
        yield Difference("state", truth.name, None, "it has ended and is said to run", ended)
    elif not ended - SLACK <= row.ended_at <= known_by + SLACK:
        yield Difference("time", truth.name, None, f"ended {_window(row.ended_at, ended, known_by)}", ended)


def _window(found: float, earliest: float, latest: float) -> str:
    if found < earliest:
        return f"{earliest - found:.1f} s before it happened"
    return f"{found - latest:.1f} s later than it must have been known"
