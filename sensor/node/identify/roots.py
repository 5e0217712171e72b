"""The root folders of containers, held open so that files stay readable after the container's end."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sensor.node.identify.processes import Process, has_program, processes_by_namespace
from sensor.node.rootfs import RootFilesystem


class HeldRoot(RootFilesystem):
    """A root file system that owns its descriptor.

    It is closed when the last user lets go of the object, never earlier: a reader whose container is
    released meanwhile must not find another container's root under the same descriptor number.
    """

    def __init__(self, root_fd: int) -> None:
        super().__init__(root_fd)
        self.descriptor = root_fd
        status = os.fstat(root_fd)
        self.id = (status.st_dev, status.st_ino)
        """(device, inode): no other root has it while this one is held."""

    def __del__(self) -> None:
        os.close(self.descriptor)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A process that may lead to a root; ``start_boottime`` (ns) where it is known which one is meant."""

    pid: int
    start_boottime: int | None = None


@dataclass(frozen=True, slots=True)
class FoundRoot:
    """The process that led to the root, and the root; None if that process still has the host's root."""

    pid: int
    root: HeldRoot | None


def open_root(
    candidates: Iterable[Candidate], mount_namespace: int, host_root: tuple[int, int] | None, proc: str
) -> FoundRoot | None:
    """Return the root of the first candidate that lives in ``mount_namespace``, None without one.

    A container's first process lives in the new mount namespace, and hooks of the runtime may run
    there, before pivot_root(2): its root is still the host's, and is never held for a container's.
    """
    for candidate in candidates:
        try:
            root = _open_one(candidate, mount_namespace, proc)
        except OSError:  # it has gone
            continue
        if root is not None:
            return FoundRoot(candidate.pid, None if root.id == host_root else root)
    return None


def _open_one(candidate: Candidate, mount_namespace: int, proc: str) -> HeldRoot | None:
    with Process(candidate.pid, proc) as process:
        if candidate.start_boottime is not None and not process.started_at(candidate.start_boottime):
            return None
        if process.mount_namespace() != mount_namespace:
            return None
        root = HeldRoot(process.open_root())
        # setns(2) changes namespace and root together: one look before and one after rule out a root
        # of the namespace it came from.
        return root if process.mount_namespace() == mount_namespace else None


def open_host_root(host_mount_namespace: int, proc: str) -> HeldRoot | None:
    """Return the host's root, None if no process of the host's mount namespace lets us see it.

    Process 1 may be closed even to root; kernel threads may still have the initramfs for a root.
    """
    for pid in itertools.chain((1, os.getpid()), _host_processes(host_mount_namespace, proc)):
        if has_program(pid, proc):
            found = open_root([Candidate(pid)], host_mount_namespace, None, proc)
            if found is not None:
                return found.root
    return None


def _host_processes(host_mount_namespace: int, proc: str) -> Iterator[int]:
    found = processes_by_namespace(frozenset((host_mount_namespace,)), proc)
    yield from sorted(found.get(host_mount_namespace, ()))


def open_folder(path: str) -> HeldRoot:
    """Return the file system below a folder that we name ourselves. Raises OSError."""
    return HeldRoot(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
