"""What the programs must know of the host: its mount namespace, its cgroups, our pid."""

from __future__ import annotations

import os
from pathlib import Path

from sensor.node.capture.errors import CaptureError

_INITIAL_PID_NAMESPACE = 0xEFFFFFFC
"""PROC_PID_INIT_INO of include/linux/proc_ns.h: the same on every kernel."""


def require_host_pids() -> None:
    """Raise :class:`CaptureError` unless our pids are those the kernel programs see."""
    if os.stat("/proc/self/ns/pid").st_ino != _INITIAL_PID_NAMESPACE:
        raise CaptureError(
            "the sensor runs in a pid namespace of its own, so it cannot tell whose events it sees",
            "run it in the host's pid namespace: hostPID: true in Kubernetes, --pid=host in Docker",
        )


def host_mount_namespace() -> int:
    """Return the inode number of the host's mount namespace.

    That of pid 1 or, where a security module guards pid 1, of kthreadd (always pid 2 and always in
    the initial namespace). Raises :class:`CaptureError` when neither may be read.
    """
    for pid in (1, 2):
        try:
            return os.stat(f"/proc/{pid}/ns/mnt").st_ino
        except OSError:
            continue
    raise CaptureError(
        "the host's mount namespace cannot be read from /proc/1/ns/mnt or /proc/2/ns/mnt",
        "grant CAP_SYS_PTRACE and run in the host's pid namespace",
    )


def cgroup_controller(cgroups: Path = Path("/proc/cgroups")) -> str:
    """Return the v1 controller whose cgroups name containers, ``""`` on a pure v2 host.

    On v1 and hybrid hosts every runtime uses the memory controller or, where that is disabled, the
    pids controller; a controller with hierarchy 0 is not on v1 (cgroups(7)).
    """
    hierarchies = {}
    for line in cgroups.read_text().splitlines():
        if line.startswith("#"):
            continue
        name, hierarchy, _, enabled = line.split()
        if enabled == "1":
            hierarchies[name] = int(hierarchy)
    return next((name for name in ("memory", "pids") if hierarchies.get(name, 0)), "")
