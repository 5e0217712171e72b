"""Where things are in an ELF image: its header, segments and sections.

Layouts are those of the System V ABI ("ELF Header", "Sections", "Program Header") for both classes and
byte orders. The image may be a file or what a process has mapped of one: only a way to read is asked
for. Every count is bounded, for the image is a container's.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass

PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
_EXECUTE, _WRITE = 1, 2  # p_flags
_SHT_NOBITS = 8

_PROGRAM_HEADERS = 128
_SECTION_HEADERS = 1024
_SECTION_NAMES = 64 << 10
_HEADER_BYTES = 256  # of one segment or section

Read = Callable[[int, int], bytes]
"""``read(offset, size)`` returns ``size`` bytes, fewer where the image ends."""


class NotElf(Exception):
    """Not an ELF file, or one that contradicts itself or our bounds."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A program header. ``address`` is where it is to be loaded, ``size`` what the file holds of it."""

    kind: int
    flags: int
    offset: int
    address: int
    size: int

    @property
    def executable(self) -> bool:
        return self.flags & _EXECUTE != 0

    @property
    def data(self) -> bool:
        """Whether it is loaded writable and not executable."""
        return self.kind == PT_LOAD and self.flags & (_EXECUTE | _WRITE) == _WRITE


@dataclass(frozen=True, slots=True)
class Section:
    """``size`` is in bytes of the file: 0 for one without content."""

    address: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class _Class:
    """Where the fields are. Each ``*_take`` picks the named fields from an unpacked struct."""

    header: str  # e_phoff, e_shoff, e_phentsize, e_phnum, e_shentsize, e_shnum, e_shstrndx
    program: str
    program_take: tuple[int, int, int, int, int]  # type, flags, offset, vaddr, filesz
    section: str  # name, type, flags, addr, offset, size


_CLASSES = {
    1: _Class("28xII6x5H", "8I", (0, 6, 1, 2, 4), "6I16x"),
    2: _Class("32xQQ6x5H", "2I6Q", (0, 1, 2, 3, 5), "2I4Q24x"),
}


class Layout:
    """Header and segments of an image. Raises NotElf, and what ``read`` raises.

    ``order`` is the struct prefix of its byte order, ``bits`` 32 or 64. ``section_count`` is what the
    header claims.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        head = read(0, 64)
        if len(head) < 16 or head[:4] != b"\x7fELF" or head[4] not in _CLASSES or head[5] not in (1, 2):
            raise NotElf("no ELF magic")
        self._class = _CLASSES[head[4]]
        self.bits = 32 * head[4]
        self.order = "<" if head[5] == 1 else ">"
        try:
            fields = struct.unpack_from(self.order + self._class.header, head)
        except struct.error as error:
            raise NotElf("the header is cut") from error
        self._program_headers = fields[0], fields[2], fields[3]
        self._section_headers = fields[1], fields[4]
        self.section_count: int = fields[5] if fields[1] else 0
        self._names_index: int = fields[6]
        self.segments = tuple(self._segments())

    @property
    def interpreted(self) -> bool:
        """Whether a dynamic loader starts it."""
        return any(segment.kind == PT_INTERP for segment in self.segments)

    def sections(self, wanted: Collection[bytes]) -> dict[bytes, Section] | None:
        """Return the sections with these names; ``None`` if the headers were stripped or make no sense."""
        if not 0 < self.section_count <= _SECTION_HEADERS:
            return None
        try:
            return self._named(wanted)
        except NotElf:
            return None

    def _segments(self) -> list[Segment]:
        offset, size, count = self._program_headers
        if count > _PROGRAM_HEADERS:
            raise NotElf(f"{count} program headers")
        headers = self._table(offset, size, count, self._class.program)
        return [Segment(*(fields[take] for take in self._class.program_take)) for fields in headers]

    def _named(self, wanted: Collection[bytes]) -> dict[bytes, Section]:
        start, size = self._section_headers
        names_header = start + self._names_index * size
        ((*_, offset, length),) = self._table(names_header, size, 1, self._class.section)
        names = self._read(offset, min(length, _SECTION_NAMES))
        if not any(name in names for name in wanted):
            return {}  # as in most files: without unpacking the headers of the rest
        found: dict[bytes, Section] = {}
        headers = self._table(start, size, self.section_count, self._class.section)
        for place, kind, _, address, offset, length in headers:
            name = names[place : names.find(b"\0", place)]
            if name in wanted:
                found[name] = Section(address, offset, 0 if kind == _SHT_NOBITS else length)
        return found

    def _table(self, offset: int, size: int, count: int, layout: str) -> list[tuple[int, ...]]:
        entry = struct.Struct(self.order + layout)
        if count and not entry.size <= size <= _HEADER_BYTES:
            raise NotElf(f"headers of {size} bytes, expected {entry.size}")
        content = self._read(offset, size * count)
        if len(content) < size * count:
            raise NotElf("headers beyond the end")
        return [entry.unpack_from(content, index * size) for index in range(count)]
