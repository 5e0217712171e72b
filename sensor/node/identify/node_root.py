"""The node's own root file system, wherever the sensor itself runs."""

from __future__ import annotations

from dataclasses import dataclass

from sensor.node.identify.roots import HeldRoot, open_folder, open_host_root

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class NodeRoot:
    """``path`` leads to it as long as ``folder`` is held; ``is_node`` is False where it is our own only."""

    path: str
    folder: HeldRoot
    is_node: bool = True


def open_node_root(wanted: str, host_mount_namespace: int, proc: str = "/proc") -> NodeRoot:
    """Return the folder ``wanted`` or, for :data:`AUTO`, the root that process 1 has.

    So a container reaches the node's sockets, bundles and cgroups without a mount of any of them. A bind
    mount of a runtime's folder brings along the root file systems of all containers, which are mounted below
    it: they stay mounted for that container's life, and what the others had written takes up the node's disk
    long after their end. It takes CAP_SYS_PTRACE (ptrace(2), PTRACE_MODE_READ), as the roots of containers
    do; without it our own root is returned. Raises OSError if ``wanted`` cannot be opened.
    """
    if wanted != AUTO:
        return NodeRoot(wanted, open_folder(wanted))
    own = open_folder("/")
    found = open_host_root(host_mount_namespace, proc)
    if found is None:
        return NodeRoot("/", own, is_node=False)
    if found.id == own.id:
        return NodeRoot("/", own)
    return NodeRoot(f"/proc/self/fd/{found.descriptor}", found)
