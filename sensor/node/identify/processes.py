"""Processes of /proc, each held by a descriptor of its folder.

A pid alone may be another process by the time it is used. A descriptor of ``/proc/PID`` pins the
process: once that has gone, every access through it fails with ESRCH, also after the pid was given
away again. So what is read through one :class:`Process` is all of the same process.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator
from types import TracebackType
from typing import Self

from sensor.node.identify.cgroup import CGROUP_FILE_MAX, parse_proc_cgroup
from sensor.node.process_start import STAT_BYTES, TICK_NS, is_same_start, start_ticks


class Process:
    """One process. Raises ProcessLookupError, or another OSError, where it has gone."""

    __slots__ = ("_folder", "pid")

    def __init__(self, pid: int, proc: str = "/proc") -> None:
        self.pid = pid
        self._folder = os.open(f"{proc}/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._folder)

    def start_boottime(self) -> int:
        """Return when it started: ns of CLOCK_BOOTTIME, in steps of a clock tick."""
        return self.start_ticks() * TICK_NS

    def start_ticks(self) -> int:
        """Return when it started: clock ticks since boot. Raises ProcessLookupError for a zombie."""
        ticks = start_ticks(self._read("stat", STAT_BYTES))
        if ticks is None:
            raise ProcessLookupError(self.pid)
        return ticks

    def started_at(self, start_boottime: int) -> bool:
        """Whether it started at ``start_boottime`` (ns), as far as the ticks of /proc can tell."""
        return is_same_start(self.start_ticks(), start_boottime)

    def mount_namespace(self) -> int:
        """Return the inode number of its mount namespace."""
        return _namespace_number(os.readlink("ns/mnt", dir_fd=self._folder))

    def open_root(self) -> int:
        """Return a new O_PATH descriptor of its root folder."""
        return os.open("root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._folder)

    def cgroup_path(self) -> str | None:
        """Return its cgroup's path, as :func:`sensor.node.identify.cgroup.read_cgroup_path` does."""
        return parse_proc_cgroup(os.fsdecode(self._read("cgroup", CGROUP_FILE_MAX)))

    def open_pidfd(self) -> int:
        """Return a new pidfd of it."""
        pidfd = os.pidfd_open(self.pid)
        try:
            self.start_ticks()  # still the same one, so the pid was not another's when it was opened
        except OSError:
            os.close(pidfd)
            raise
        return pidfd

    def _read(self, name: str, limit: int) -> bytes:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._folder)
        try:
            return os.read(fd, limit)
        finally:
            os.close(fd)


def oldest(pids: Iterable[int], proc: str = "/proc") -> int | None:
    """Return the live process of ``pids`` that started first: it is the likeliest to stay."""
    started = [(ticks, pid) for pid in pids if (ticks := _start_ticks(pid, proc)) is not None]
    return min(started)[1] if started else None


def processes_by_namespace(wanted: Collection[int], proc: str = "/proc") -> dict[int, list[int]]:
    """Return the live processes of each mount namespace of ``wanted``: one pass over /proc.

    Costs about 5 us per process of the node.
    """
    found: dict[int, list[int]] = {}
    for pid in _pids(proc):
        number = mount_namespace_of(pid, proc)
        if number in wanted:
            found.setdefault(number, []).append(pid)
    return found


def mount_namespace_of(pid: int, proc: str = "/proc") -> int:
    """Return the number of a process's mount namespace, 0 if it has gone or is a zombie."""
    try:
        return _namespace_number(os.readlink(f"{proc}/{pid}/ns/mnt"))
    except OSError:
        return 0


def lives(pid: int, start_boottime: int, proc: str = "/proc") -> bool:
    """Whether the process that started at ``start_boottime`` (ns) is still there."""
    try:
        with Process(pid, proc) as process:
            return process.started_at(start_boottime)
    except OSError:
        return False


def has_program(pid: int, proc: str = "/proc") -> bool:
    """Whether it runs a program that we may see: kernel threads and zombies have none."""
    try:
        return bool(os.readlink(f"{proc}/{pid}/exe"))
    except OSError:
        return False


def _namespace_number(link: str) -> int:
    number = link.removeprefix("mnt:[").removesuffix("]")
    return int(number) if number.isdecimal() else 0


def _pids(proc: str) -> Iterator[int]:
    with contextlib.suppress(OSError), os.scandir(proc) as entries:
        for entry in entries:
            if entry.name.isdecimal():
                yield int(entry.name)


def _start_ticks(pid: int, proc: str) -> int | None:
    try:
        with Process(pid, proc) as process:
            return process.start_ticks()
    except OSError:
        return None
