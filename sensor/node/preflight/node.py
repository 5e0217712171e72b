"""The node: its cgroups, and whether its files and its container runtime can be seen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from sensor.node.capture.errors import CaptureError
from sensor.node.capture.host import host_mount_namespace
from sensor.node.identify.node_root import AUTO, NodeRoot, open_node_root
from sensor.node.identify.roots import open_folder
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


def cgroups(root: Path | None = None) -> Iterator[Finding]:
    """cgroups name containers; where each version is mounted: cgroups(7), systemd's file-hierarchy(7)."""
    node = _node(root)
    base = Path(node.path, "sys/fs/cgroup")
    old = any(os.path.exists(base / controller / "cgroup.procs") for controller in ("memory", "pids"))
    new = any(os.path.exists(base / folder / "cgroup.controllers") for folder in ("", "unified"))
    match old, new:
        case True, True:
            yield Finding("cgroups", Status.OK, "hybrid: v1 controllers beside v2")
        case True, False:
            yield Finding("cgroups", Status.OK, "v1")
        case False, True:
            yield Finding("cgroups", Status.OK, "v2")
        case _:
            cure = "containers are told apart by their cgroups: mount them at /sys/fs/cgroup of the node"
            yield Finding("cgroups", Status.FAIL, "none in /sys/fs/cgroup", cure)


def node_files() -> Iterator[Finding]:
    """Sockets and bundles of the container runtime, and the cgroups, are the node's."""
    root = _node(None)
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
    node = _node(root)
    all_paths = [(name, path) for name, paths in _RUNTIMES for path in paths]
    found = [f"{name} (/{path})" for name, path in all_paths if os.path.exists(Path(node.path, path))]
    if found:
        yield Finding("container runtimes", Status.OK, ", ".join(found))
    else:
        cure = "if this node runs containers, name the socket with --cri-socket: names come from the runtime"
        yield Finding("container runtimes", Status.WARN, "none in their usual places", cure)


def _node(root: Path | None) -> NodeRoot:
    """``path`` of what is returned leads to the node's files as long as that is held."""
    try:
        return open_node_root(AUTO if root is None else str(root), 0 if root else host_mount_namespace())
    except CaptureError:  # not even which mount namespace is the node's
        return NodeRoot("/", open_folder("/"), is_node=False)
