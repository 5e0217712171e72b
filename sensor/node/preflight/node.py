"""The node: its cgroups, and whether its files and its container runtime can be seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sensor.node.capture.host import host_mount_namespace
from sensor.node.identify.node_root import AUTO, open_node_root
from sensor.node.preflight.finding import Finding, Status

_RUNTIMES = (
    ("containerd", ("run/containerd/containerd.sock", "run/k3s/containerd/containerd.sock")),
    ("containerd", ("var/snap/microk8s/common/run/containerd.sock", "run/k0s/containerd.sock")),
    ("cri-o", ("run/crio/crio.sock",)),
    ("docker", ("run/docker.sock",)),
    ("podman", ("run/podman/podman.sock", "run/libpod", "var/lib/containers/storage")),
    ("runc", ("run/runc", "run/containerd/runc", "run/docker/runtime-runc")),
    ("crun", ("run/crun",)),
)


def cgroups(root: Path) -> Iterator[Finding]:
    """cgroups name containers; cgroups(7)."""
    types = set()
    for line in (root / "proc/self/mountinfo").read_text().splitlines():
        _, _, tail = line.partition(" - ")
        types.add(tail.partition(" ")[0])
    match "cgroup" in types, "cgroup2" in types:
        case True, True:
            yield Finding("cgroups", Status.OK, "hybrid: v1 controllers beside v2")
        case True, False:
            yield Finding("cgroups", Status.OK, "v1")
        case False, True:
            yield Finding("cgroups", Status.OK, "v2")
        case _:
            cure = "mount the node's /sys/fs/cgroup: containers are told apart by their cgroups"
            yield Finding("cgroups", Status.FAIL, "no cgroup file system is mounted", cure)


def node_files() -> Iterator[Finding]:
    """Sockets and bundles of the container runtime, and the cgroups, are the node's."""
    root = open_node_root(AUTO, host_mount_namespace())
    if root.path == "/" and root.is_node:
        yield Finding("node's files", Status.OK, "our own root is the node's")
    elif root.is_node:
        yield Finding("node's files", Status.OK, "seen through the root of process 1")
    else:
        cure = (
            "grant SYS_PTRACE, hostPID and, where the node has AppArmor or SELinux, a profile that allows it"
        )
        yield Finding("node's files", Status.WARN, "the root of process 1 cannot be seen", cure)


def runtimes(root: Path | None = None) -> Iterator[Finding]:
    """Where none can be asked, containers are named by their id alone."""
    seen = open_node_root(AUTO if root is None else str(root), host_mount_namespace())
    root = Path(seen.path)
    found = [f"{name} (/{path})" for name, paths in _RUNTIMES for path in paths if (root / path).exists()]
    if found:
        yield Finding("container runtimes", Status.OK, ", ".join(found))
    else:
        cure = "if this node runs containers, name the socket with --cri-socket: names come from the runtime"
        yield Finding("container runtimes", Status.WARN, "none in their usual places", cure)
