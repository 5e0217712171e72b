"""What every hook on every kernel must do. Each check raises AssertionError, or returns what it found.

A check gets the observer and a folder of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.kernels.inside import memory, paths, told, ways
from tests.kernels.inside.observer import Observer

Check = Callable[[Observer, str], str]

RING_BYTES = 64 << 10
"""Small enough that a burst of opens is lost."""

CHECKS: dict[str, Check] = {
    "heartbeat": told.heartbeat,
    "exec": told.executes,
    "open": told.opens,
    "names": told.names,
    "readers only": told.readers_only,
    "overlay on ext4": partial(paths.overlay, kind="ext4"),
    "overlay on tmpfs": partial(paths.overlay, kind="tmpfs"),
    "bind mount": paths.bind_mount,
    "symbolic link": paths.link,
    "28 components": partial(paths.depth, components=28),
    "40 components": partial(paths.depth, components=40),
    "deleted file": paths.deleted,
    "detached mount": paths.detached,
    "chroot": paths.chroot,
    **{
        f"{name}(2)": partial(ways.call, name=name)
        for name in ("open", "openat", "openat2", "open_by_handle_at")
    },
    "io_uring": partial(ways.io_uring, worker=False),
    "io_uring worker": partial(ways.io_uring, worker=True),
    "dedup": memory.dedup,
    "host filter": memory.host_filter,
    "ignored": memory.ignored,
    "cgroup v2": partial(told.cgroup, base="/sys/fs/cgroup"),
    "loss and recovery": memory.loss,
}
CHECKS_V1: dict[str, Check] = {"cgroup v1": partial(told.cgroup, base="/sys/fs/cgroup/v1")}
