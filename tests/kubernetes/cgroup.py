"""The cluster's own cgroup in every hierarchy: who is in it belongs to the cluster and ends with it.

The kubelet takes it for the root of its tree, so a pod is in ``/runtime-sensor-cluster/kubepods/…``.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.ground import cgroups
from tests.ground.mounts import mounts
from tests.kubernetes.layout import NAME

_SYSTEM = "system"
"""Below it: the programs of the cluster that run in no pod."""


def make() -> list[Path]:
    """Makes the cgroup and returns its ``cgroup.procs`` for programs, one for each hierarchy."""
    lists = []
    for root in _hierarchies():
        system = root / NAME / _SYSTEM
        system.mkdir(parents=True, exist_ok=True)
        for folder in (root / NAME, system):
            _give_cpus(folder)
        _give_way(root / NAME)
        lists.append(system / "cgroup.procs")
    return lists


def processes() -> list[int]:
    """Ids of all processes of the cluster, those of its pods included."""
    pids: set[int] = set()
    for root in _hierarchies():
        for listing in (root / NAME).rglob("cgroup.procs"):
            pids |= {int(line) for line in _lines(listing)}
    return sorted(pids)


def folders() -> list[Path]:
    """The cgroup's in each hierarchy, if it is there."""
    return [root / NAME for root in _hierarchies() if (root / NAME).exists()]


def remove() -> None:
    """Kills every process of the cluster and removes the cgroup."""
    cgroups.remove(f"/{NAME}")


def _hierarchies() -> list[Path]:
    """Mount points, each once: one on cgroup v2, one for each controller on v1."""
    return list(dict.fromkeys(mount.target for mount in mounts() if mount.kind in {"cgroup", "cgroup2"}))


def _give_cpus(folder: Path) -> None:
    """A new cgroup of v1's cpuset is empty and takes nobody in. The kubelet wants all CPUs of the machine.

    ``taskset`` before ``up`` confines the cluster all the same: its programs and pods inherit that.
    """
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (folder.parent / name).exists() and not (folder / "cgroup.controllers").exists():
            (folder / name).write_text((folder.parent / name).read_text())


def _give_way(folder: Path) -> None:
    """Who was told to run only where a CPU is idle (``chrt --idle``) has the cluster give way to others.

    A cgroup competes as a whole, whatever the scheduling of those in it: a thirtieth of what one of another
    gets. None at all (cpu.idle) would keep it from coming up beside others that are idle's.
    """
    if os.sched_getscheduler(0) == os.SCHED_IDLE:
        for name, weight in (("cpu.shares", "32"), ("cpu.weight", "3")):  # of v1 and of v2
            if (folder / name).exists():
                (folder / name).write_text(weight)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []  # its cgroup ended meanwhile
