"""What a process has mapped, and which of it may be read without touching anything but memory.

Reading another process's memory faults absent pages in, as the process itself would. For anonymous
memory that ends in RAM or swap. For a file it ends in its file system, and one that lives in user
space (FUSE) or behind a network may never answer: the reader would hang beyond the reach of signals.
So the pages of a file are read freely only on file systems known to answer, and elsewhere only where
they are in the page tables already.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_DISK = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "vfat", "iso9660"})
_LOCAL = _DISK | {"tmpfs", "ramfs", "rootfs", "squashfs", "erofs"}
_LAYERED = frozenset({"overlay"})  # as answering as its layers: believed only of the host's own mounts
_NEVER = ("/dev/", "[v")  # devices, and the kernel's own: [vdso], [vvar], [vsyscall]


@dataclass(frozen=True, slots=True)
class Mapping:
    """One line of /proc/PID/maps (proc_pid_maps(5))."""

    start: int
    end: int
    permissions: str
    offset: int
    device: str
    """``major:minor``, decimal, as in mountinfo."""
    inode: int
    path: str

    @property
    def private(self) -> bool:
        return self.permissions[3:] == "p"

    @property
    def executable(self) -> bool:
        return self.permissions[2:3] == "x"

    @property
    def file(self) -> tuple[str, int]:
        return self.device, self.inode


@dataclass(frozen=True, slots=True)
class Region:
    """Readable memory. ``resident``: only its pages that are in the page tables may be read."""

    start: int
    end: int
    resident: bool


def parse_mappings(maps: bytes) -> Iterator[Mapping]:
    """Yield the lines of /proc/PID/maps; the kernel escapes line ends in names, so a line is a mapping."""
    for line in maps.splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) < 5:
            continue
        try:
            start, _, end = fields[0].partition(b"-")
            major, _, minor = fields[3].partition(b":")
            yield Mapping(
                int(start, 16),
                int(end, 16),
                fields[1].decode("ascii"),
                int(fields[2], 16),
                f"{int(major, 16)}:{int(minor, 16)}",
                int(fields[4]),
                os.fsdecode(fields[5]) if len(fields) > 5 else "",
            )
        except ValueError:
            continue  # the last line, cut by our own bound


def answering_devices(own_mounts: bytes, host_mounts: bytes) -> frozenset[str]:
    """Return the devices (``major:minor``) whose file systems answer without user space or a network.

    ``own_mounts`` is the mountinfo of the process, ``host_mounts`` that of the host's first process
    (proc_pid_mountinfo(5)). An overlay counts if the host has mounted it: one that a container
    mounted in a user namespace may lie over a FUSE of its own.
    """
    own = {device for device, kind in _mounts(own_mounts) if kind in _LOCAL}
    host = {device for device, kind in _mounts(host_mounts) if kind in _LOCAL | _LAYERED}
    return frozenset(own | host)


def _mounts(mountinfo: bytes) -> Iterator[tuple[str, str]]:
    for line in mountinfo.decode("utf-8", "replace").splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(" "), right.split(" ")[0]
        if len(fields) > 2:
            yield fields[2], kind


def readable_regions(mappings: Iterable[Mapping], answering: frozenset[str]) -> list[Region]:
    """Return what may be read, sorted, neighbours joined.

    That is private anonymous memory, and the private mappings of files that are also mapped
    executable (programs and libraries). Never shared memory, devices, or plain data files.
    """
    mappings = [mapping for mapping in mappings if _may_hold_objects(mapping)]
    programs = {mapping.file for mapping in mappings if mapping.inode and mapping.executable}
    regions: list[Region] = []
    for mapping in mappings:
        if mapping.permissions[:1] == "r" and (not mapping.inode or mapping.file in programs):
            resident = bool(mapping.inode) and mapping.device not in answering
            _append(regions, Region(mapping.start, mapping.end, resident))
    return regions


def _append(regions: list[Region], region: Region) -> None:
    last = regions[-1] if regions else None
    if last is not None and last.end == region.start and last.resident == region.resident:
        regions[-1] = Region(last.start, region.end, region.resident)
    else:
        regions.append(region)


def _may_hold_objects(mapping: Mapping) -> bool:
    return mapping.private and not mapping.path.startswith(_NEVER)


def program_images(mappings: Iterable[Mapping]) -> Iterator[Mapping]:
    """Yield, for each program or library loaded, the mapping that holds its ELF header.

    A file can be mapped again as plain data; only runs of mappings with an executable one are images.
    """
    heads: dict[tuple[str, int], Mapping] = {}
    for mapping in mappings:
        if not mapping.inode or not _may_hold_objects(mapping):
            continue
        if mapping.offset == 0:
            heads[mapping.file] = mapping
        if mapping.executable and mapping.file in heads:
            yield heads.pop(mapping.file)
