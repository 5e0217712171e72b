"""A cgroup's path -> the container it belongs to.

Runtimes name the cgroup of a container after its id. The names are the same in cgroup v1, v2 and
hybrid hierarchies; they differ by runtime and by cgroup driver (systemd or cgroupfs). Every name is
matched whole, from the leaf upwards, so that a cgroup nested inside a container belongs to the
innermost container around it, and a monitor beside a container (conmon, lxc.monitor) to none.

The rules come from the runtimes' own sources: kubelet ``cm/cgroup_manager_linux.go``, containerd
``pkg/cri/server`` (``getCgroupsPath``), CRI-O ``internal/config/cgmgr``, moby
``daemon/oci_linux.go``, podman ``libpod/container_internal_linux.go``, runc ``libcontainer/cgroups``.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sensor.model.container import ContainerIdentity

CUT = "…"
"""First component of a path whose upper components are missing."""

CONTAINERD = "containerd"
CRIO = "cri-o"
DOCKER = "docker"
PODMAN = "podman"
RUNC = "runc"
UNKNOWN = "unknown"

_NAME_MAX = 255  # of one cgroup name: NAME_MAX of Linux
_DEPTH_MAX = 64  # levels looked at from the leaf; kubelet, systemd and a nested node need about 12
CGROUP_FILE_MAX = 1 << 16
"""Bytes read of /proc/PID/cgroup: some 13 lines of at most PATH_MAX."""


_UNIFIED = ""  # cgroup v2's line has no controllers
_NAMING_HIERARCHIES = ("memory", "pids", _UNIFIED, "name=systemd")

_ID = "(?P<id>[0-9a-f]{64})"
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# ECS: the cluster's name is part of the path since the long form of ARNs (2018).
_TASK = f"ecs/(?:[^/]+/)?(?:[0-9a-f]{{32}}|{_UUID})"
# A mirror pod's uid is an MD5 of its manifest. Under systemd "_" stands for "-", which is a path there.
_POD_UID = "([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})"
# Prefixes come from kubelet's --cgroup-root: "kubelet-" in kind. A runtime that drives cgroupfs while the
# kubelet names slices may leave ".slice" out.
_POD_SLICE = rf"(?:[\w.]+-)*kubepods(?:-burstable|-besteffort)?-pod{_POD_UID}(?:\.slice)?"
_POD = re.compile(rf"(?:pod{_POD_UID}|{_POD_SLICE}(?::[\w.-]+:[0-9a-f]{{64}})?)", re.ASCII)
_RUNC_ID = r"(?P<id>[\w+.-]+)"
_RUNC_NAME = re.compile(r"[\w+.-]{1,1024}", re.ASCII)  # validateID of runc


@dataclass(frozen=True, slots=True)
class _Rule:
    """``name`` matches one whole component, ``above`` the end of the three components above it.

    ``depth`` is the number of components above, for names that mean something only at the top.
    """

    runtime: str
    name: re.Pattern[str]
    above: re.Pattern[str] | None
    depth: int | None


def _rule(runtime: str, name: str, above: str | None = None, depth: int | None = None) -> _Rule:
    pattern = None if above is None else re.compile(rf"(?:^|/)(?:{above})\Z", re.ASCII)
    return _Rule(runtime, re.compile(name, re.ASCII), pattern, depth)


# First match wins: names that carry their runtime come before bare ids.
_RULES = (
    _rule(CONTAINERD, rf"(?:cri-containerd|nerdctl)-{_ID}\.scope"),
    _rule(CRIO, rf"crio-{_ID}(?:\.scope)?"),
    _rule(DOCKER, rf"docker-{_ID}\.scope"),
    _rule(PODMAN, rf"libpod-(?:payload-)?{_ID}(?:\.scope)?"),
    # The systemd form slice:prefix:name, given to a runtime that drives cgroupfs.
    _rule(CONTAINERD, rf"[\w.-]*:(?:cri-containerd|nerdctl):{_ID}"),
    _rule(CRIO, rf"[\w.-]*:crio:{_ID}"),
    _rule(DOCKER, rf"[\w.-]*:docker:{_ID}"),
    _rule(PODMAN, rf"[\w.-]*:libpod:{_ID}"),
    _rule(RUNC, rf"[\w.-]*:runc:{_RUNC_ID}"),
    _rule(RUNC, rf"runc-{_RUNC_ID}\.scope"),
    # Bare ids, told by what stands above. In a pod it is containerd: CRI-O always writes its prefix,
    # and Docker under Kubernetes (cri-dockerd) cannot be told from containerd by these names.
    _rule(CONTAINERD, _ID, rf"pod{_POD_UID}|{_POD_SLICE}"),
    # An id of that form is Garden's, where it is the runtime of a kubelet.
    _rule(UNKNOWN, f"(?P<id>{_UUID})", rf"pod{_POD_UID}|{_POD_SLICE}"),
    _rule(CONTAINERD, _ID, r"k8s\.io|default"),
    _rule(DOCKER, _ID, f"docker|moby|{_TASK}"),
    # containerd's own client (ctr) lets its user choose the id.
    _rule(CONTAINERD, _RUNC_ID, "default", depth=1),
    # BuildKit: 25 characters of base 36.
    _rule(UNKNOWN, "(?P<id>[0-9a-z]{25})", "buildkit"),
    _rule(UNKNOWN, r"[\w.-]*:(?:docker|buildkit):(?P<id>[0-9a-z]{25})"),
    # ECS on Fargate: the task's id, a dash, the container's number.
    _rule(UNKNOWN, "(?P<id>[0-9a-f]{32}-[0-9]{5,10})", _TASK),
    # Garden of Cloud Foundry writes shortened UUIDs too, and what a health check is called after them.
    _rule(
        UNKNOWN,
        r"(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-(?:[0-9a-f]{4}|[0-9a-f]{12})(?:-[\w.-]+)?)",
        "garden(?:/good|/bad)?",
    ),
    _rule(UNKNOWN, r"lxc\.payload\.(?P<id>[\w.-]+)"),
    _rule(UNKNOWN, r"(?P<id>[\w.-]+)", r"lxc(?:\.payload)?", depth=1),
    # Any other parent was chosen by a user (docker run --cgroup-parent). Under libpod_parent a bare
    # id is that of a podman pod, where its conmon runs: no container.
    _rule(UNKNOWN, _ID, r"(?!libpod_parent\Z)[^/]*"),
)


def identify_cgroup(path: str, runc_ids: Callable[[str], bool] | None = None) -> ContainerIdentity | None:
    """Return the innermost container that the cgroup at ``path`` belongs to, None for the host's own.

    ``path`` is absolute and as the host sees it; it starts with ``…/`` when its upper components are
    missing. Plain runc names a cgroup after an id that its user chose: such names count only where
    ``runc_ids`` says that a container of this id exists. Never raises.
    """
    components = [part for part in path.split("/") if part]
    for depth in range(len(components) - 1, max(-1, len(components) - 1 - _DEPTH_MAX), -1):
        identity = _match(components, depth)
        if identity is not None:
            return identity
    return None if runc_ids is None else _plain_runc(components, runc_ids)


def is_runc_id(name: str) -> bool:
    """Whether ``name`` could be the id of a container of runc, and is safe as one path component."""
    return _RUNC_NAME.fullmatch(name) is not None and name not in {".", ".."}


def is_cut(path: str) -> bool:
    """Whether the upper components of ``path`` are missing."""
    return path.startswith(CUT)


def read_cgroup_path(pid: int, proc: str = "/proc") -> str | None:
    """Return the cgroup path of a process from ``/proc/PID/cgroup``, None if it cannot be read.

    On v1 and hybrid hosts it is the memory controller's, else the pids controller's: container
    runtimes always fill these, and the kernel programs look there too. Else it is that of v2.
    """
    try:
        with open(f"{proc}/{pid}/cgroup", "rb") as file:
            content = file.read(CGROUP_FILE_MAX)
    except OSError:
        return None
    return parse_proc_cgroup(os.fsdecode(content))


def parse_proc_cgroup(content: str) -> str | None:
    """Return the path that names containers from the text of ``/proc/PID/cgroup`` (cgroups(7))."""
    paths: dict[str, str] = {}
    for line in content.split("\n"):
        controllers, _, path = line.partition(":")[2].partition(":")
        if path.startswith(("/", "..")):
            paths.update(dict.fromkeys(controllers.split(",") if controllers else [_UNIFIED], path))
    found = next((paths[name] for name in _NAMING_HIERARCHIES if name in paths), None)
    return None if found is None else _host_view(found.removesuffix(" (deleted)"))


def _host_view(path: str) -> str:
    """A reader in a cgroup namespace of its own sees ``/../..`` for what lies above or beside it."""
    components = path.removeprefix("/").split("/")
    kept = list(itertools.dropwhile(lambda name: name == "..", components))
    return path if len(kept) == len(components) else "/".join([CUT, *kept])


def _match(components: Sequence[str], depth: int) -> ContainerIdentity | None:
    name = components[depth]
    above = "/".join(components[max(0, depth - 3) : depth])
    if max(len(name), len(above)) > 3 * _NAME_MAX + 2:
        return None
    for rule in _RULES:
        found = rule.name.fullmatch(name) if rule.depth in (None, depth) else None
        if found and (rule.above is None or rule.above.search(above)):
            return ContainerIdentity(found["id"], rule.runtime, _pod_uid(components[: depth + 1]))
    return None


def _pod_uid(components: Sequence[str]) -> str | None:
    """Return the uid of the innermost pod around."""
    for name in reversed(components[-_DEPTH_MAX:]):
        found = _POD.fullmatch(name) if len(name) <= _NAME_MAX else None
        if found:
            return (found[1] or found[2]).replace("_", "-")
    return None


def _plain_runc(components: Sequence[str], runc_ids: Callable[[str], bool]) -> ContainerIdentity | None:
    for name in reversed(components[-_DEPTH_MAX:]):
        if len(name) <= _NAME_MAX and is_runc_id(name) and runc_ids(name):
            return ContainerIdentity(name, RUNC, _pod_uid(components))
    return None
