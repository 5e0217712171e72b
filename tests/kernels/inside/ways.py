"""Every way to open a file."""

from __future__ import annotations

import platform

from tests.kernels.inside import libc
from tests.kernels.inside.observer import Observer, make


def call(observer: Observer, folder: str, name: str) -> str:
    """Every system call that opens."""
    path = f"{folder}/{name}.py"
    ways = {
        "open": lambda: libc.syscall("open", path.encode(), 0, 0),
        "openat": lambda: libc.syscall("openat", libc.AT_FDCWD, path.encode(), 0, 0),
        "openat2": lambda: libc.openat2(path),
        "open_by_handle_at": lambda: libc.open_by_handle_at(path),
    }

    def act() -> None:
        make(path)
        ways[name]()

    observed = observer.run(act)
    assert observed.event(path).pid == observed.pid
    return "told"


def io_uring(observer: Observer, folder: str, worker: bool) -> str:
    """The raw tracepoint is known to miss these opens; the other hooks see them."""
    path = f"{folder}/ring.py"

    def act() -> None:
        make(path)
        libc.io_uring_open(path, worker=worker)

    observed = observer.run(act)
    if observer.capture.hook == "raw_tracepoint":
        assert path not in observed.opened
        return "missed, as known"
    event = observed.event(path)
    if event.pid == observed.pid:
        return "told"
    # Before Linux 5.12 the kernel's workers were threads of its own.
    release = tuple(map(int, platform.release().split(".")[:2]))
    assert release < (5, 12), f"told of pid {event.pid}, opened by {observed.pid}"
    return f"told, of the kernel's worker {event.comm}"
