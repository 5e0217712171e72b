"""Both ends of a run held against bounds. Pure.

The load reaches its height once roots of ended containers are let go as fast as new ones come: they are held
for a minute. So the first tenth of the load, two minutes at least, is warm-up, and what follows is compared:
the median of its first tenth with that of its last, and the line through all of it, so that neither one
scrape nor a slow leak below a scrape's noise decides. A run too short for that is held at its ends alone:
before the first container, and after the last was let go.

Of pidfds, one for each container that runs at that moment, the least of a tenth counts in place of its
median: how many run varies with what else the machine does, and what leaks never goes.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from tests.endurance.sample import Sample

WARM_UP_SHARE, WARM_UP_SECONDS = 0.1, 120.0
COMPARABLE_SECONDS = 300.0
"""Of load after the warm-up, without which nothing is said of growth under load."""
MEMORY_MIB = 4.0
SHORT_MEMORY_MIB = 24.0
"""Over an agent that has seen no container yet: code, caches and heap that the first containers bring."""
FEW = 6
"""Descriptors, threads in passing: a scrape of ours, a file being read."""
SHARE = 1.15
"""For counts that follow the number of containers of the last minute, which others' tests may add to."""
_FOLLOWING = (
    *(
        "mappings",
        "pidfds",
        "held_roots",
        "containers",
        "packages",
        "asked_processes",
        "outbox_ended",
        "ignored",
    ),
)


@dataclass(frozen=True, slots=True)
class Ends:
    """Figures at both ends. ``warm``, ``end`` and the slope are None for a run that is too short for them.

    ``slope_mib`` is how far the line through resident memory rises from ``warm`` to ``end``.
    """

    idle: Sample
    warm: Sample | None
    end: Sample | None
    slope_mib: float | None
    after: Sample

    @property
    def memory_mib(self) -> float:
        """Growth that is judged."""
        if self.warm is None or self.end is None:
            return self.after.memory - self.idle.memory
        return self.end.memory - self.warm.memory

    @property
    def descriptors(self) -> int:
        return self.after.other_descriptors - self.idle.other_descriptors


def ends(idle: Sample, under_load: Sequence[Sample], after: Sample) -> Ends:
    """``under_load`` in order of time, ``seconds`` since the load began."""
    last = under_load[-1].seconds if under_load else 0.0
    warm_up = max(WARM_UP_SHARE * last, WARM_UP_SECONDS)
    measured = [each for each in under_load if each.seconds >= warm_up]
    if last - warm_up < COMPARABLE_SECONDS or len(measured) < 20:
        return Ends(idle, None, None, None, after)
    tenth = max(1, len(measured) // 10)
    rise = slope([(each.seconds, each.memory) for each in measured]) * (last - warm_up)
    return Ends(idle, _median(measured[:tenth]), _median(measured[-tenth:]), rise, after)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Units of y for one of x: the median of the slopes between all pairs (Theil and Sen), of at most 400
    points: a scrape that met a burst does not bend it."""
    some = points[:: -(-len(points) // 400)]
    rises = (
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for earlier, later in itertools.combinations(some, 2)
        if later[0] > earlier[0]
    )
    return statistics.median(rises)


def _median(samples: Sequence[Sample]) -> Sample:
    """Field by field."""

    def middle(field: str) -> Any:
        choose = min if field == "pidfds" else statistics.median_low
        return choose(getattr(each, field) for each in samples)

    return Sample(**{field.name: middle(field.name) for field in fields(Sample)})


def grown(found: Ends, others: int) -> list[str]:
    """What exceeds its bound, a line each. ``others``: containers not of ours that are still known."""
    told = _after(found, others)
    if found.warm is None or found.end is None or found.slope_mib is None:
        told += _over("memory after all, MiB", found.after.memory, found.idle.memory + SHORT_MEMORY_MIB)
        return told
    warm, end = found.warm, found.end
    told += _over("memory under load, MiB", end.memory, warm.memory + MEMORY_MIB)
    told += _over("memory after all, MiB", found.after.memory, warm.memory + MEMORY_MIB)
    told += _over("the line through memory, MiB", found.slope_mib, MEMORY_MIB)
    for name in ("other_descriptors", "threads"):
        told += _over(f"{name} under load", getattr(end, name), getattr(warm, name) + FEW)
    for name in _FOLLOWING:
        told += _over(f"{name} under load", getattr(end, name), SHARE * getattr(warm, name) + FEW)
    told += _over("outbox under load, MiB", end.outbox_mib, warm.outbox_mib + MEMORY_MIB)
    return told


def _after(found: Ends, others: int) -> list[str]:
    """Everything that was held for a container must be gone with the last."""
    idle, after = found.idle, found.after
    told = _over("descriptors after all", after.other_descriptors, idle.other_descriptors + FEW)
    told += _over("threads after all", after.threads, idle.threads + FEW)
    for name in ("pidfds", "held_roots", "containers", "outbox_running"):
        told += _over(f"{name} after all", getattr(after, name), getattr(idle, name) + others)
    told += _over("asked processes after all", after.asked_processes, idle.asked_processes + 4 * others)
    told += _over("outbox_ended after all", after.outbox_ended, idle.outbox_ended + FEW)
    told += _over("ignored after all", after.ignored, idle.ignored + FEW + 4 * others)
    return told + _over("losses after all", after.losses, 0)


def _over(name: str, value: float, bound: float) -> list[str]:
    return [f"{name}: found {value:.6g}, expected at most {bound:.6g}"] if value > bound else []


def is_quiet(idle: Sample, now: Sample, others: int) -> bool:
    """Whether what ended containers leave for a minute has been let go."""
    slack: Callable[[int], int] = lambda count: count + others  # noqa: E731 - one name for three counts
    return (
        now.held_roots <= slack(idle.held_roots)
        and now.containers <= slack(idle.containers)
        and now.outbox_ended <= idle.outbox_ended + FEW
    )
