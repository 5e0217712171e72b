"""A Go program by addresses: the same for its file and for what a process holds in memory.

The parsers of this room see nothing but :class:`Image`, so that a program whose file is packed can be
read where it is unpacked.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from sensor.model.package import SkipReason
from sensor.node.resolve.elf_layout import PT_LOAD, Layout, Read, Segment

CHUNK = 256 << 10
"""Bytes read at a time: what is searched or streamed is never in memory as a whole."""


class NotGo(Exception):
    """There is no Go program here."""


class Unusable(Exception):
    """A Go program that does not tell what it consists of; ``reason`` says why."""

    reason = SkipReason.MALFORMED


class BadGo(Unusable):
    """It contradicts itself or our bounds."""


class Obfuscated(Unusable):
    """Its names are not those of packages (garble)."""

    reason = SkipReason.OBFUSCATED


class TooManyPackages(Unusable):
    """More than we keep of one program."""

    reason = SkipReason.TOO_MANY_ENTRIES


class OutOfTime(Unusable):
    """Reading took longer than it may."""

    reason = SkipReason.TOO_SLOW


_HOLES = 16
"""Chunks in a row of which nothing can be read: beyond the end of the file, whatever its headers say."""


@dataclass(frozen=True, slots=True)
class Span:
    """``size`` bytes from ``address``."""

    address: int
    size: int

    @property
    def end(self) -> int:
        return self.address + self.size


class Image(Protocol):
    """``order`` is the struct prefix of the byte order, ``loads`` what is loaded, ``data`` what of that is
    writable data; code comes last, as what is looked for is elsewhere.
    """

    order: str
    loads: tuple[Span, ...]
    data: tuple[Span, ...]

    def section(self, *names: bytes) -> Span | None:
        """Return the first section of one of these names that is there."""
        ...

    def read(self, address: int, size: int) -> bytes:
        """Return ``size`` bytes at ``address``, fewer where they end or cannot be read.

        Raises OutOfTime.
        """
        ...


class FileImage:
    """An ELF file behind ``read(offset, size)``. Raises NotElf, and what ``read`` raises.

    ``sections`` are those that may be asked for; ``seconds`` from now on is how long it may be read.
    """

    def __init__(self, read: Read, sections: Collection[bytes], seconds: float = 2.0) -> None:
        self._read = read
        self._deadline = time.monotonic() + seconds
        layout = Layout(read)
        self.order = layout.order
        self._segments = [segment for segment in layout.segments if segment.kind == PT_LOAD and segment.size]
        self.loads, self.data = spans(self._segments)
        found = layout.sections(sections)
        self.has_sections = found is not None
        self._sections = {name: Span(part.address, part.size) for name, part in (found or {}).items()}

    def section(self, *names: bytes) -> Span | None:
        return next((self._sections[name] for name in names if name in self._sections), None)

    def read(self, address: int, size: int) -> bytes:
        if time.monotonic() > self._deadline:
            raise OutOfTime
        for segment in self._segments:
            inside = address - segment.address
            if 0 <= inside < segment.size:
                return self._read(segment.offset + inside, min(size, segment.size - inside))
        return b""


def spans(segments: Iterable[Segment]) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Return the ``loads`` and the ``data`` of an :class:`Image` with these segments, all to be loaded."""
    loads = sorted(segments, key=lambda segment: segment.executable)
    return (
        tuple(Span(segment.address, segment.size) for segment in loads),
        tuple(Span(segment.address, segment.size) for segment in loads if segment.data),
    )


def word(image: Image, address: int, size: int) -> int:
    """Return the unsigned number of ``size`` bytes (4 or 8) at ``address``. Raises BadGo."""
    content = image.read(address, size)
    if len(content) < size:
        raise BadGo(f"nothing at {address:#x}")
    (value,) = struct.unpack(image.order + ("Q" if size == 8 else "I"), content)
    return int(value)


def search(image: Image, span: Span, wanted: bytes) -> Iterator[int]:
    """Yield the addresses in ``span`` at which ``wanted`` stands, reading on as the caller goes on."""
    overlap = len(wanted) - 1
    address = span.address
    holes = 0
    while address < span.end and holes < _HOLES:
        content = image.read(address, min(CHUNK + overlap, span.end - address))
        holes = 0 if content else holes + 1
        found = content.find(wanted)
        while found >= 0:
            yield address + found
            found = content.find(wanted, found + 1)
        address += CHUNK  # also past what cannot be read: pages of a process that are not there
