"""What an earlier run left in the outbox becomes the inventory again.

A container is the same one if a process of it is older than the moment its state was written: it was
seen running then, by that process at the latest, and its first process lives as long as it does. An id
alone does not tell, as `docker restart` keeps it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from sensor.delivery.outbox import Remembered
from sensor.model.container import ContainerIdentity
from sensor.model.report import ContainerReport, Coverage
from sensor.node.backfill.processes import Process
from sensor.node.inventory import Inventory

# Reasons that no later look takes back. All others are found anew, in the processes that live.
_STICKY = frozenset(
    {"ended_unasked", "events_lost", "failed", "file_system_hangs", "root_unavailable", "too_many_archives"}
    | {"too_many_packages", "too_many_processes"}
)


@dataclass(frozen=True, slots=True)
class Restored:
    """How many containers an earlier run left: still running, ended meanwhile, started anew."""

    running: tuple[ContainerIdentity, ...] = ()
    ended: int = 0
    started_anew: int = 0


def oldest_processes(
    processes: Iterable[Process], owner: Callable[[int], object]
) -> dict[ContainerIdentity, int]:
    """Return for each container when its oldest process started, in nanoseconds of CLOCK_BOOTTIME."""
    found: dict[ContainerIdentity, int] = {}
    for process in processes:
        container = owner(process.pid)
        if isinstance(container, ContainerIdentity):
            found[container] = min(process.start_boottime, found.get(container, process.start_boottime))
    return found


def restore(
    remembered: Iterable[Remembered],
    oldest: Mapping[ContainerIdentity, int],
    inventory: Inventory,
    boot_id: str,
) -> Restored:
    """Put what still runs back as it was, and what has ended as ended now.

    What runs under a known id but started anew is left out: the first scan finds what it has loaded.
    ``boot_id`` is the kernel's, which a reboot changes.
    """
    starts = {container.id: (container, start) for container, start in oldest.items()}
    running, ended, anew = [], 0, 0
    for one in remembered:
        alive = starts.get(one.report.container.id)
        if alive is None:
            inventory.restore(one.report)
            inventory.ended(one.report.container, time.time())
            ended += 1
        elif one.boot_id == boot_id and alive[1] <= one.written_boottime:
            inventory.restore(_as_found(one.report, alive[0]))
            running.append(alive[0])
        else:
            anew += 1
    return Restored(tuple(running), ended, anew)


def _as_found(report: ContainerReport, container: ContainerIdentity) -> ContainerReport:
    reasons = tuple(
        reason for reason in report.coverage_reasons if reason in _STICKY or reason.startswith("skipped_")
    )
    coverage = Coverage.PARTIAL if reasons else Coverage.COMPLETE
    return replace(report, container=container, coverage=coverage, coverage_reasons=reasons)
