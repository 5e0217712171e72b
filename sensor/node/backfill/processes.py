"""Running processes and the files they hold: mapped, or open. Read from /proc, nothing is touched.

For the first scan at the start, the rescan after lost events, and to tell a mapped native module from
one that was only opened. A process that ends meanwhile is nothing found; everything is bounded.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from sensor.model.events import FileId
from sensor.node.backfill.file_status import status_of
from sensor.node.process_start import TICK_NS, start_ticks

MAPS_BYTES = 16 << 20
"""Of /proc/PID/maps: about 130,000 mappings, twice the kernel's default limit (vm.max_map_count)."""

OPEN_FILES = 65_536
"""Descriptors looked at in one process."""

_SMALL_FILE = 64 << 10
_DELETED = " (deleted)"
# Address, permissions, offset, device and inode, then the path, padded to a column.
_MAPPED_FILE = re.compile(rb"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \d+ +(/.*)$", re.MULTILINE)
# On hosts with cgroup v1 the memory or the pids hierarchy names containers, elsewhere the unified one.
_CGROUP = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        rb"^\d+:(?:[^:\n]*,)?memory(?:,[^:\n]*)?:(.*)$",
        rb"^\d+:(?:[^:\n]*,)?pids(?:,[^:\n]*)?:(.*)$",
        rb"^0::(.*)$",
    )
)


@dataclass(frozen=True, slots=True)
class Process:
    """``start_boottime`` is in nanoseconds of CLOCK_BOOTTIME, rounded down to a clock tick (10 ms).

    ``executable`` is what stat(2) says; on overlayfs and btrfs its device may differ from the super
    block's that kernel events carry. ``executable_name`` has symbolic links resolved. ``uid`` is the
    effective one, or 0 for a process that may not be dumped. ``cgroups`` is /proc/PID/cgroup as it
    stands; ``cgroup_path`` the path in the hierarchy that names containers, empty if there is none.
    """

    pid: int
    start_boottime: int
    uid: int
    comm: str
    mount_namespace: int
    executable: FileId
    executable_name: str
    cgroups: str
    cgroup_path: str


class ProcessFile(str):
    """A path as the process's mount namespace names it. ``deleted``: unlinked meanwhile."""

    __slots__ = ("deleted",)
    deleted: bool

    def __new__(cls, name: str) -> Self:
        """``name`` is as the kernel writes it, with its mark on an unlinked file."""
        file = super().__new__(cls, name.removesuffix(_DELETED))
        file.deleted = name.endswith(_DELETED)
        return file


class ProcessTable:
    """Reads /proc, or ``proc`` in its place. Holds no state but counters.

    ``counters``: ``vanished`` (ended while read), ``denied`` (we may not look), ``maps_cut`` and
    ``open_files_cut`` (a bound was reached: files are missing from the answer).
    """

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self.counters: Counter[str] = Counter()

    def processes_of(self, mount_namespace: int) -> tuple[Process, ...]:
        """Return the processes in one mount namespace, kernel threads and zombies left out."""
        found = (self._process(pid) for pid in self._pids() if self._namespace(pid) == mount_namespace)
        return tuple(process for process in found if process is not None)

    def all_containers_processes(self, host_mount_namespace: int | None = None) -> tuple[Process, ...]:
        """Return every process that is not in the host's mount namespace, by default that of pid 1.

        With 0 those of the host are included.
        """
        host = self._namespace(1) if host_mount_namespace is None else host_mount_namespace
        found = (self._process(pid) for pid in self._pids() if self._namespace(pid) not in (None, host))
        return tuple(process for process in found if process is not None)

    def process(self, pid: int) -> Process | None:
        """Return the process that has this pid now; None if it is gone, or a kernel thread."""
        return self._process(pid)

    def program(self, pid: int) -> ProcessFile | None:
        """Return the executable of a process, None if it is gone or may not be seen."""
        try:
            return ProcessFile(os.readlink(f"{self._proc}/{pid}/exe"))
        except OSError as error:
            self._count(error)
            return None

    def mapped_files(self, pid: int) -> tuple[ProcessFile, ...]:
        """Return the files mapped into a process, each once, in the order of their addresses."""
        content = self._read(f"{pid}/maps", MAPS_BYTES)
        if len(content) >= MAPS_BYTES:
            self.counters["maps_cut"] += 1
            content = content[: content.rfind(b"\n") + 1]
        # proc(5): of all characters in a path only the newline is escaped here.
        found = (match[1].replace(rb"\012", b"\n") for match in _MAPPED_FILE.finditer(content))
        return tuple(ProcessFile(os.fsdecode(path)) for path in dict.fromkeys(found))

    def open_files(self, pid: int) -> tuple[ProcessFile, ...]:
        """Return the regular files that a process has open, each once."""
        names: dict[str, None] = {}
        for seen, number in enumerate(self._names(f"{pid}/fd")):
            if seen >= OPEN_FILES:
                self.counters["open_files_cut"] += 1
                break
            link = f"{self._proc}/{pid}/fd/{number}"
            with contextlib.suppress(OSError):  # closed meanwhile
                target = os.readlink(link)
                if target.startswith("/") and status_of(link).is_regular:
                    names[target] = None
        return tuple(ProcessFile(name) for name in names)

    def _pids(self) -> Iterator[int]:
        return (int(name) for name in self._names("") if name.isdecimal())

    def _names(self, folder: str) -> Iterator[str]:
        try:
            with os.scandir(f"{self._proc}/{folder}") as entries:
                for entry in entries:
                    yield entry.name
        except OSError as error:
            self._count(error)

    def _namespace(self, pid: int) -> int | None:
        try:
            link = os.readlink(f"{self._proc}/{pid}/ns/mnt")
        except OSError as error:
            self._count(error)
            return None
        number = link.removeprefix("mnt:[").removesuffix("]")
        return int(number) if number.isdecimal() else None

    def _process(self, pid: int) -> Process | None:
        try:
            return self._read_process(pid)
        except OSError as error:
            self._count(error)
            return None

    def _read_process(self, pid: int) -> Process | None:
        stat = self._read(f"{pid}/stat", _SMALL_FILE)
        namespace = self._namespace(pid)
        folder = f"{self._proc}/{pid}"
        try:
            name = os.readlink(f"{folder}/exe")
            executable = status_of(f"{folder}/exe").file
        except FileNotFoundError:
            return None  # a kernel thread, a zombie, or gone
        cgroups = self._read(f"{pid}/cgroup", _SMALL_FILE)
        started = _started(stat)
        # The pid may have been given to another process between these reads.
        if (
            namespace is None
            or started is None
            or started != _started(self._read(f"{pid}/stat", _SMALL_FILE))
        ):
            return None
        return Process(
            pid=pid,
            start_boottime=started,
            uid=os.stat(folder).st_uid,
            comm=_text(stat[stat.find(b"(") + 1 : stat.rfind(b")")]),
            mount_namespace=namespace,
            executable=executable,
            executable_name=name.removesuffix(_DELETED).rpartition("/")[2],
            cgroups=_text(cgroups),
            cgroup_path=_cgroup_path(cgroups),
        )

    def _read(self, name: str, limit: int) -> bytes:
        """At most ``limit`` bytes; empty when the process is gone or may not be read."""
        chunks: list[bytes] = []
        try:
            with open(f"{self._proc}/{name}", "rb", buffering=0) as file:
                while limit > 0 and (chunk := file.read(min(limit, 1 << 16))):
                    chunks.append(chunk)
                    limit -= len(chunk)
        except OSError as error:
            self._count(error)
            return b""
        return b"".join(chunks)

    def _count(self, error: OSError) -> None:
        self.counters["denied" if isinstance(error, PermissionError) else "vanished"] += 1


def _started(stat: bytes) -> int | None:
    ticks = start_ticks(stat)
    return None if ticks is None else ticks * TICK_NS


def _cgroup_path(cgroups: bytes) -> str:
    for pattern in _CGROUP:
        match = pattern.search(cgroups)
        if match is not None:
            return _text(match[1])
    return ""


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")
