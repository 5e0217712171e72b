"""What must have arrived, and what may have. Pure.

All a container has loaded must arrive, as far as somebody could know it. Nobody can know what it loaded
while no sensor ran, if it ended before the next one looked; and what a sensor saw less than
:data:`KNOWN_AFTER` seconds before it was killed may not have been written yet. That much a sensor that looks
again later makes good: it reads the memory of what still runs. So, for a container that runs at the end,
everything must arrive; for one that ended, everything up to :func:`known_until`.

Moments are seconds of CLOCK_MONOTONIC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

KNOWN_AFTER = 3.0
"""Seconds in which a sensor that runs has written what it saw: resolved, debounced, on disk."""


@dataclass(frozen=True, slots=True)
class Load:
    """``purl`` was being imported from ``begun`` on and was in ``sys.modules`` by ``done``."""

    purl: str
    begun: float
    done: float


@dataclass(frozen=True, slots=True)
class Life:
    """One container. ``begun`` are purls whose import may or may not have come to its end."""

    id: str
    name: str
    started: float
    ended: float | None
    loads: tuple[Load, ...] = ()
    begun: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Watch:
    """A sensor was ready from ``ready`` to ``until``, when it was killed."""

    ready: float
    until: float


@dataclass(frozen=True, slots=True)
class Fact:
    """A package that must have arrived, first seen between ``earliest`` and ``latest``."""

    purl: str
    earliest: float
    latest: float


@dataclass(frozen=True, slots=True)
class Expected:
    """``may`` holds the purls of ``must`` too. ``end`` is when the container's end can have been seen,
    ``None`` while it runs."""

    id: str
    name: str
    known_by: float
    must: tuple[Fact, ...]
    may: frozenset[str]
    end: tuple[float, float] | None


def known_until(life: Life, watches: Sequence[Watch]) -> float | None:
    """The latest moment up to which everything the container did must be known; ``None``: nothing must."""
    return max((watch.until - KNOWN_AFTER for watch in _witnesses(life, watches)), default=None)


def expected(life: Life, watches: Sequence[Watch]) -> Expected | None:
    """``None`` where nobody must know of the container at all."""
    known = known_until(life, watches)
    if known is None:
        return None
    witnesses = _witnesses(life, watches)
    must = tuple(_fact(load, witnesses) for load in life.loads if load.done <= known)
    return Expected(
        id=life.id,
        name=life.name,
        known_by=_known_by(life.started, witnesses),
        must=must,
        may=frozenset(load.purl for load in life.loads) | life.begun,
        end=None if life.ended is None else (life.ended, _end_known_by(life.ended, watches)),
    )


def _witnesses(life: Life, watches: Sequence[Watch]) -> list[Watch]:
    return [watch for watch in watches if _is_witness(watch, life)]


def _is_witness(watch: Watch, life: Life) -> bool:
    """Whether it saw the container from its start on, or the container lived through its first scan."""
    if watch.until - KNOWN_AFTER < max(watch.ready, life.started):
        return False
    scanned = life.ended is None or life.ended >= watch.ready + KNOWN_AFTER
    return life.started >= watch.ready or scanned


def _known_by(moment: float, witnesses: Sequence[Watch]) -> float:
    """When a sensor must have taken note of what was so from ``moment`` on."""
    return KNOWN_AFTER + min(
        max(moment, watch.ready) for watch in witnesses if watch.until - KNOWN_AFTER >= moment
    )


def _fact(load: Load, witnesses: Sequence[Watch]) -> Fact:
    return Fact(load.purl, load.begun, _known_by(load.done, witnesses))


def _end_known_by(ended: float, watches: Sequence[Watch]) -> float:
    seen = (
        max(ended, watch.ready) for watch in watches if watch.until - KNOWN_AFTER >= max(ended, watch.ready)
    )
    return KNOWN_AFTER + min(seen, default=ended + 3600)
