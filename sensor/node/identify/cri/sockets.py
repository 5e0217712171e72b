"""Where container runtimes listen, and how their sockets are reached below another root.

Paths: kubelet's ``--container-runtime-endpoint`` as the distributions set it.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from sensor.node.identify.cgroup import CONTAINERD, CRIO, DOCKER, UNKNOWN
from sensor.node.rootfs import RootFilesystem, Unreadable


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``runtimes`` are those of :class:`ContainerIdentity` whose containers may be told here."""

    path: str
    runtimes: frozenset[str]


def _endpoint(path: str, *runtimes: str) -> Endpoint:
    return Endpoint(path, frozenset((*runtimes, UNKNOWN)))


# Under the cgroupfs driver the names of Docker's pods and of containerd's are the same.
KNOWN = (
    _endpoint("/run/containerd/containerd.sock", CONTAINERD),
    _endpoint("/run/k3s/containerd/containerd.sock", CONTAINERD),  # RKE2 too
    _endpoint("/var/snap/microk8s/common/run/containerd.sock", CONTAINERD),
    _endpoint("/run/k0s/containerd.sock", CONTAINERD),
    _endpoint("/run/crio/crio.sock", CRIO),
    _endpoint("/run/cri-dockerd.sock", DOCKER, CONTAINERD),
)


def given(address: str) -> Endpoint:
    """Return the endpoint that a person named: a path on the host, or ``unix:///path`` as kubelet has it."""
    return _endpoint(address.removeprefix("unix://"), CONTAINERD, CRIO, DOCKER)


class HeldSocket:
    """A socket held open as a path (O_PATH): through :attr:`address` this one is reached, whatever is renamed
    or linked meanwhile, and a path of any length fits into ``sun_path``."""

    def __init__(self, fd: int) -> None:
        status = os.fstat(fd)
        self._fd = fd
        self.is_socket = stat.S_ISSOCK(status.st_mode)
        self.id = (status.st_dev, status.st_ino, status.st_ctime_ns)
        """A runtime that starts makes its socket anew, perhaps with the inode number of the one before."""
        self.address = f"unix:/proc/self/fd/{fd}"

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def hold(host: RootFilesystem, path: str) -> HeldSocket | None:
    """Return the socket at ``path`` below the host's root, None without one. The caller closes it."""
    try:
        held = HeldSocket(host.open_path(path))
    except Unreadable:
        return None
    if held.is_socket:
        return held
    held.close()
    return None


def socket_id(host: RootFilesystem, path: str) -> tuple[int, int, int] | None:
    """Return which socket is at ``path`` now, None without one."""
    held = hold(host, path)
    if held is None:
        return None
    held.close()
    return held.id
