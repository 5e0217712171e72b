"""Reads the memory of another process through /proc/PID/mem: passive, bounded, suspicious.

Nothing is stopped, signalled or attached. Not process_vm_readv(2), though it batches: it waits for
the handler of a userfaultfd(2) range, which may be hostile and never come, while a read of
/proc/PID/mem fails there with EIO (kernel: ``access_remote_vm`` faults without FAULT_FLAG_ALLOW_RETRY).

Every address comes from memory that a container controls, so it is checked against the mappings
before each read (:mod:`sensor.node.backfill.mappings`), and bytes and time are counted.
Needs CAP_SYS_PTRACE for processes of other users.
"""

from __future__ import annotations

import os
import struct
import time
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Self

from sensor.node.backfill.mappings import Mapping, Region, answering_devices, parse_mappings, readable_regions
from sensor.node.process_start import is_same_start, start_ticks

_GONE = (FileNotFoundError, ProcessLookupError)

_PAGE = os.sysconf("SC_PAGE_SIZE")
_IN_TABLES = 0b11 << 62  # present or swapped (kernel: Documentation/admin-guide/mm/pagemap.rst)
_CHUNK = 64 << 10  # bytes between two looks at the clock: at worst 16 pages from swap
_PROC_FILE_MAX = 16 << 20  # 65,530 mappings, the kernel's default bound, take about 8 MiB
_REFRESHES = 32  # of the mappings, as the process allocates while it is read
_REFRESH_PAUSE = 0.005  # seconds between two of them: a garbage pointer must not cost a refresh


class BadAddress(Exception):
    """There is no memory there that may be read."""


class ProcessGone(Exception):
    """The process has ended, executes another program, or its pid is another's."""


class LimitReached(Exception):
    """Bytes or time are used up; ``bytes_left`` tells which."""

    def __init__(self, bytes_left: int) -> None:
        super().__init__("bytes" if bytes_left < 0 else "time")
        self.bytes_left = bytes_left


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Of one process: bytes in all, and seconds from opening to the last read."""

    size: int = 64 << 20
    seconds: float = 2.0


class ProcessMemory:
    """The memory of the program that process ``pid`` runs now.

    Raises ProcessGone, PermissionError, and OSError for a failure of our own. The process is held by
    a descriptor of its folder in /proc and its memory by an open file: all reads are of the same
    process and the same program, also if the pid is given away or the process executes another.
    ``data_files``: see :func:`sensor.node.backfill.mappings.readable_regions` for what is readable
    without; with it also private mappings of other files, as HotSpot's archives of shared classes.
    """

    def __init__(
        self, pid: int, limits: ReadLimits | None = None, proc: str = "/proc", *, data_files: bool = False
    ) -> None:
        limits = limits or ReadLimits()
        self.bytes_left = limits.size
        self._deadline = time.monotonic() + limits.seconds
        self._proc = proc
        self._data_files = data_files
        self._answering: frozenset[str] | None = None
        self._refreshes = 0
        self._refreshed_at = 0.0
        self._descriptors: list[int] = []
        try:
            self._folder = self._hold(os.open(f"{proc}/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            self._start = self._start_ticks()
            self._memory = self._open("mem")
            self._pagemap = self._open("pagemap")
            self._refresh()
        except BaseException as error:
            self._close()
            if isinstance(error, _GONE):
                raise ProcessGone(pid) from error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    @property
    def mappings(self) -> tuple[Mapping, ...]:
        """What the process had mapped when that was last read."""
        return self._mappings

    def program_path(self) -> str:
        """Return the path of the running program as the process sees it, '' if that cannot be read."""
        try:
            return os.readlink("exe", dir_fd=self._folder)
        except OSError:
            return ""

    def started_at(self, start_boottime: int) -> bool:
        """Whether the process started at ``start_boottime`` (ns), as far as the ticks of /proc can tell."""
        return is_same_start(self._start, start_boottime)

    def verify(self) -> None:
        """Raise ProcessGone unless the process is alive and still the one that was opened."""
        try:
            if self._start_ticks() != self._start:
                raise ProcessGone("started at another time")
        except _GONE as error:
            raise ProcessGone("no longer in /proc") from error

    def read(self, address: int, size: int) -> bytes:
        """Return ``size`` bytes. Raises BadAddress, LimitReached, ProcessGone."""
        region = self._region(address, size)
        if size <= _CHUNK:
            return self._read_chunk(region, address, size)
        return b"".join(
            self._read_chunk(region, at, min(_CHUNK, address + size - at))
            for at in range(address, address + size, _CHUNK)
        )

    def around(self, address: int, size: int) -> tuple[int, bytes]:
        """Return what is readable of the aligned ``size`` bytes that hold ``address``, and where that begins.

        ``size`` is a power of two, at most 64 KiB. For those who read many small things that stand
        together. Raises as :meth:`read`.
        """
        region = self._region(address, 1)
        block = address & -size
        start, end = max(block, region.start), min(block + size, region.end)
        return start, self._read_chunk(region, start, end - start)

    def words(self, address: int, count: int) -> tuple[int, ...]:
        """Return ``count`` unsigned 64-bit words; raises as :meth:`read`."""
        return _words(count).unpack(self.read(address, count * 8))

    def word(self, address: int) -> int:
        """Return one unsigned 64-bit word; raises as :meth:`read`."""
        return self.words(address, 1)[0]

    def pause(self, seconds: float) -> None:
        """Sleep, but not past the deadline: raises LimitReached in its place."""
        self._spend(0)
        time.sleep(max(0.0, min(seconds, self._deadline - time.monotonic())))

    def _read_chunk(self, region: Region, address: int, size: int) -> bytes:
        self._spend(size)
        if region.resident and not self._is_resident(address, size):
            raise BadAddress(f"{address:#x} would have to be fetched from its file system")
        try:
            content = os.pread(self._memory, size, address)
        except OSError as error:
            raise BadAddress(f"{address:#x}: {error.strerror}") from error
        if not content:
            raise ProcessGone("its memory has been released")
        if len(content) != size:
            raise BadAddress(f"{address:#x}: {len(content)} of {size} bytes")
        return content

    def _spend(self, size: int) -> None:
        self.bytes_left -= size
        if self.bytes_left < 0 or time.monotonic() > self._deadline:
            raise LimitReached(self.bytes_left)

    def _is_resident(self, address: int, size: int) -> bool:
        first, last = address // _PAGE, (address + size - 1) // _PAGE
        count = last - first + 1
        try:
            entries = _words(count).unpack(os.pread(self._pagemap, count * 8, first * 8))
        except (OSError, struct.error):
            return False
        return all(entry & _IN_TABLES for entry in entries)

    def _region(self, address: int, size: int) -> Region:
        region = self._find(address, size)
        if region is None and self._may_refresh():
            self.verify()
            self._refresh()
            region = self._find(address, size)
        if region is None:
            raise BadAddress(f"{address:#x} and {size} bytes are not memory of the program")
        return region

    def _find(self, address: int, size: int) -> Region | None:
        index = bisect_right(self._starts, address) - 1
        if index < 0 or size <= 0:
            return None
        region = self._regions[index]
        return region if address + size <= region.end else None

    def _may_refresh(self) -> bool:
        rested = time.monotonic() - self._refreshed_at > _REFRESH_PAUSE
        return rested and self._refreshes < _REFRESHES

    def _refresh(self) -> None:
        self._refreshes += 1
        self._mappings = tuple(parse_mappings(self._read_file(self._folder, "maps")))
        if self._answering is None:
            own = self._read_file(self._folder, "mountinfo")
            self._answering = answering_devices(own, self._host_mounts())
        self._regions = readable_regions(self._mappings, self._answering)
        self._starts = [region.start for region in self._regions]
        if self._data_files:
            self._add_data_files(self._answering)
        self._refreshed_at = time.monotonic()

    def _add_data_files(self, answering: frozenset[str]) -> None:
        more = [
            Region(mapping.start, mapping.end, resident=mapping.device not in answering)
            for mapping in self._mappings
            if mapping.inode and mapping.private and mapping.permissions[:1] == "r"
            if not mapping.path.startswith("/dev/") and self._find(mapping.start, 1) is None
        ]
        self._regions = sorted([*self._regions, *more], key=lambda region: region.start)
        self._starts = [region.start for region in self._regions]

    def _host_mounts(self) -> bytes:
        try:
            return self._read_file(None, f"{self._proc}/1/mountinfo")
        except OSError:
            return b""  # without the host's processes in view no overlay is believed to answer

    def _read_file(self, folder: int | None, name: str) -> bytes:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
        try:
            parts: list[bytes] = []
            left = _PROC_FILE_MAX
            while left > 0 and (part := os.read(fd, min(left, 1 << 20))):
                self._spend(0)
                parts.append(part)
                left -= len(part)
            return b"".join(parts)
        finally:
            os.close(fd)

    def _start_ticks(self) -> int:
        ticks = start_ticks(self._read_file(self._folder, "stat"))
        if ticks is None:
            raise ProcessLookupError("a zombie")
        return ticks

    def _open(self, name: str) -> int:
        return self._hold(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._folder))

    def _hold(self, fd: int) -> int:
        self._descriptors.append(fd)
        return fd

    def _close(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.pop())


@lru_cache(maxsize=64)
def _words(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}Q")
