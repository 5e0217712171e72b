"""What a cluster could leave on the machine, looked at before and after.

Other tests may run meanwhile: of what they make and take away too, such as mounts and processes, only what is
the cluster's by its name, its namespace or its process id counts.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.ground.mounts import mounts
from tests.ground.problem import run
from tests.kubernetes import cgroup
from tests.kubernetes.layout import NAME
from tests.kubernetes.process import started

# What the programs of a node make where nothing keeps them from it.
_PLACES = (
    "/etc/cni",
    "/etc/kubernetes",
    "/opt/cni",
    "/run/containerd",
    "/run/xtables.lock",
    "/usr/libexec/kubernetes",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/etcd",
    "/var/lib/kubelet",
    f"/var/lib/{NAME}",
    "/var/log/containers",
    "/var/log/pods",
    "/var/run/kubernetes",
)
_MARKS = (NAME, "kubelet", "/run/netns/cni-", "containerd")
_SETTINGS = (
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/route_localnet",
    "net/netfilter/nf_conntrack_max",
)


@dataclass(frozen=True, slots=True)
class Traces:
    """Each is comparable; what differs is what was left."""

    interfaces: frozenset[str]
    routes: frozenset[str]
    firewall: str
    settings: dict[str, str]
    folders: frozenset[str]
    mounts: frozenset[str]
    cgroups: frozenset[str]

    @staticmethod
    def now() -> Traces:
        return Traces(
            interfaces=frozenset(os.listdir("/sys/class/net")),
            routes=frozenset(run(["ip", "route", "show", "table", "all"]).splitlines()),
            firewall=run(["iptables-save"]) + run(["ip6tables-save"]) if _has_firewall() else "",
            settings={name: _read(Path("/proc/sys", name)) for name in _SETTINGS},
            folders=frozenset(_names(_PLACES)),
            mounts=frozenset(
                str(mount.target) for mount in mounts() if any(mark in str(mount.target) for mark in _MARKS)
            ),
            cgroups=frozenset(str(path) for path in cgroup.folders()),
        )


@dataclass(frozen=True, slots=True)
class Running:
    """The cluster's processes, by id and time of start, and their namespaces, while it is up."""

    processes: frozenset[tuple[int, str]]
    namespaces: frozenset[str]

    @staticmethod
    def now() -> Running:
        pids = cgroup.processes()
        outside = {_namespace("self", kind) for kind in ("mnt", "net")}
        namespaces = {_namespace(str(pid), kind) for pid in pids for kind in ("mnt", "net")}
        return Running(frozenset((pid, started(pid)) for pid in pids), frozenset(namespaces - outside - {""}))

    def left(self) -> list[str]:
        """Those of them that are still there, and whoever is in one of the namespaces."""
        found = [f"process {pid}" for pid, since in self.processes if started(pid) == since]
        for name in os.listdir("/proc"):
            if name.isdecimal():
                inside = {_namespace(name, kind) for kind in ("mnt", "net")} & self.namespaces
                found += [f"process {name} in {each}" for each in inside]
        return found


def _has_firewall() -> bool:
    return Path("/usr/sbin/iptables-save").exists()


def _names(places: Iterable[str]) -> Iterable[str]:
    """Those that are there, and what is in them."""
    for place in places:
        if os.path.lexists(place):
            yield place
        with contextlib.suppress(OSError):
            yield from (f"{place}/{name}" for name in os.listdir(place))


def _namespace(pid: str, kind: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/{kind}")
    except OSError:
        return ""


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
