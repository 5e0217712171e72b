"""A process seen in a mount namespace: what an event and an entry of /proc have in common."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sensor.model.events import EventFlag, KernelEvent
from sensor.node.identify.processes import Process


@dataclass(frozen=True, slots=True)
class Sighting:
    """Times are ns of CLOCK_BOOTTIME. ``mount_namespace_id`` is 0 for what only /proc knows."""

    time: int
    pid: int
    start_boottime: int
    mount_namespace: int
    mount_namespace_id: int
    cgroup_path: str
    chrooted: bool


def from_event(event: KernelEvent) -> Sighting:
    """Return the sighting that an event is."""
    return Sighting(
        time=event.time,
        pid=event.pid,
        start_boottime=event.start_boottime,
        mount_namespace=event.mount_namespace,
        mount_namespace_id=event.mount_namespace_id,
        cgroup_path=event.cgroup_path,
        chrooted=EventFlag.CHROOT in event.flags,
    )


def from_process(pid: int, proc: str) -> Sighting | None:
    """Return the sighting of a live process, None if it has gone."""
    try:
        with Process(pid, proc) as process:
            return Sighting(
                time=time.clock_gettime_ns(time.CLOCK_BOOTTIME),
                pid=pid,
                start_boottime=process.start_boottime(),
                mount_namespace=process.mount_namespace(),
                mount_namespace_id=0,
                cgroup_path=process.cgroup_path() or "",
                chrooted=False,
            )
    except OSError:
        return None
