"""What the kernel tells user space."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class EventKind(enum.IntEnum):
    """Mirrors ``enum event_kind`` in ``bpf/events.h``."""

    OPEN = 1
    EXEC = 2
    HEARTBEAT = 3


class EventFlag(enum.IntFlag):
    """Mirrors the ``EVENT_*`` bits in ``bpf/events.h``."""

    NONE = 0
    PATH_TRUNCATED = 1  # deeper or longer than the walk allows: the leading components are missing
    DELETED = 2  # unlinked before the event was taken
    DETACHED = 4  # the walk met the top of a mount tree that is not the task's (procfs of runc 1.2)
    CHROOT = 8  # the task's root is not the top of its mount namespace
    FOLDER = 16  # this file speaks for its whole folder: the kernel stays silent on its siblings
    CGROUP_TRUNCATED = 32  # nested deeper than the kernel sends: the leading cgroups are missing


@dataclass(frozen=True, slots=True)
class FileId:
    """A file as the kernel knows it: inode number and the device number of its super block."""

    inode: int
    device: int


@dataclass(frozen=True, slots=True)
class KernelEvent:
    """One open or exec that passed every filter in the kernel.

    ``path`` is absolute, as seen from the task's root, with symbolic links resolved; when
    ``PATH_TRUNCATED`` is set its first components are missing and it starts with ``…/``.
    Times are nanoseconds of CLOCK_BOOTTIME. A process is named by ``pid`` (thread group) and
    ``start_boottime`` together, because pids are reused.
    """

    kind: EventKind
    flags: EventFlag
    time: int
    pid: int
    start_boottime: int
    uid: int
    comm: str
    mount_namespace: int
    """Inode number, as /proc/PID/ns/mnt shows it; given to another namespace once it is free."""
    mount_namespace_id: int
    """The kernel's sequence number: never used again. Zero where only /proc was asked."""
    cgroup_id: int
    cgroup_path: str
    """Absolute path in the hierarchy that names containers; starts with ``…/`` if cut."""
    executable: FileId
    executable_name: str
    """File name of the running program (the target of every symlink: ``python3.11``)."""
    file: FileId
    path: str
    seen_key: bytes
    """The key under which the kernel remembers this event; see ``Capture.forget``."""
