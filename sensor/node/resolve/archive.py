"""Zip archives of every language, read within bounds: jars, wheels, eggs, archives of Yarn.

The zip module of the standard library keeps an object for each entry and expands what an archive
claims. Here the central directory is streamed, content is cut at a limit, and what one file and all
archives inside it may cost is one :class:`Budget`.

Where the directory lies follows PKZIP's APPNOTE 4.3 and, where archives disagree with themselves, the
JDK's java.util.zip.ZipFile: it counts back from the end record, so that a script may stand in front,
and believes the directory rather than the local headers.
"""

from __future__ import annotations

import io
import os
import struct
import time
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from sensor.model.package import SkipReason
from sensor.node.resolve.inflate import Inflated, Readable, Slice
from sensor.node.rootfs import Unreadable

DEPTH = 4
"""How deep archives may stand in archives: an ear holds wars, a war jars, a jar sometimes jars."""

BUFFERED_BYTES = 4 << 20
"""A deflated archive of at most this size is expanded into memory; a larger one is inflated on the way."""

RATIO = 100
"""Archives inside archives are compressed already and hardly shrink; a bomb shrinks a thousandfold."""

_END = struct.Struct("<4s4H2LH")  # 4.3.16, end of central directory
_END64 = struct.Struct("<4sQ2H2L4Q")  # 4.3.14, its ZIP64 form
_LOCATOR = struct.Struct("<4sLQL")  # 4.3.15, where that one is
_ENTRY = struct.Struct("<4s4xHH8xLLHHH8xL")  # 4.3.12: flags, method, sizes, lengths, offset
_LOCAL = struct.Struct("<4s22xHH")  # 4.3.7: lengths of name and extra field
_END_SEARCH = _END.size + 0xFFFF
_END_RECORDS = 16  # looked at: a comment, or an archive at the end, may hold some
_FULL_32 = 0xFFFFFFFF  # "look into the ZIP64 record"
_ZIP64 = 1
_CHUNK = 64 << 10
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 1


class BadArchive(Unreadable):
    """``reason`` is MALFORMED, ARCHIVE_BOUNDS, TOO_SLOW or IO_ERROR."""


class NotZip(BadArchive):
    """The file has no end of central directory."""

    def __init__(self) -> None:
        super().__init__(SkipReason.MALFORMED, "not a zip: no end of central directory")


class Member(NamedTuple):
    """An entry of the central directory; a tuple, for there may be 300,000. ``offset`` is in the file."""

    name: bytes
    flags: int
    method: int
    packed: int
    unpacked: int
    offset: int


class Budget:
    """What may still be spent on one file and all the archives inside of it. Raises BadArchive beyond.

    ``entries`` and ``expanded`` (bytes) count over all of them; ``directory`` bounds the bytes of one
    central directory; ``seconds`` run from now.
    """

    def __init__(
        self, *, entries: int, directory: int, seconds: float, expanded: int = 64 << 20, depth: int = DEPTH
    ) -> None:
        self._entries = entries
        self._expanded = expanded
        self._deadline = time.monotonic() + seconds
        self.directory = directory
        self.depth = depth

    def spend_entry(self) -> None:
        self._entries -= 1
        if self._entries < 0:
            raise BadArchive(SkipReason.ARCHIVE_BOUNDS, "more entries than are read")

    def spend_expanded(self, size: int) -> None:
        self._expanded -= size
        if self._expanded < 0:
            raise BadArchive(SkipReason.ARCHIVE_BOUNDS, "expands to more bytes than are read")
        self.check_time()

    def check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise BadArchive(SkipReason.TOO_SLOW, "archive not read in time")


class Archive:
    """A zip archive in ``file``, ``depth`` archives down. Every method raises BadArchive and nothing else.

    Needs no closing; ``file`` stays the caller's.
    """

    def __init__(self, file: Readable, budget: Budget, depth: int = 0) -> None:
        if depth > budget.depth:
            raise BadArchive(SkipReason.ARCHIVE_BOUNDS, f"more than {budget.depth} archives in each other")
        self._file = file
        self._budget = budget
        self._depth = depth
        try:
            self._size = file.seek(0, os.SEEK_END)
            self._start, self._length, self._shift = self._find_directory()
        except (OSError, struct.error, ValueError, OverflowError) as error:
            raise _bad(error) from error

    def members(self) -> Iterator[Member]:
        """Yield the entries in the order of the directory. In between, the file may be read elsewhere."""
        try:
            yield from self._members()
        except (OSError, struct.error, ValueError, OverflowError) as error:
            raise _bad(error) from error

    def head(self, member: Member, limit: int) -> bytes:
        """Return the first ``limit`` bytes of a member's content, all of it when it has no more."""
        try:
            start = self._content(member)
            if member.method == _STORED:
                content = self._read(start, min(member.packed, limit))
                self._budget.spend_expanded(len(content))
                return content
            return self._inflate(start, member.packed, limit)
        except (OSError, struct.error, ValueError, OverflowError, zlib.error) as error:
            raise _bad(error) from error

    def nested(self, member: Member) -> Archive:
        """Return the archive that a member is.

        A stored one is read in place, however large. A deflated one is expanded into memory when it is
        small, else inflated as far as needed each time, which the budget bounds.
        """
        try:
            return Archive(self._opened(member), self._budget, self._depth + 1)
        except (OSError, struct.error, ValueError, OverflowError, zlib.error) as error:
            raise _bad(error) from error

    def _inflate(self, start: int, packed: int, limit: int) -> bytes:
        stream, parts, end = zlib.decompressobj(-zlib.MAX_WBITS), list[bytes](), start + packed
        while limit and start < end and not stream.eof:
            chunk = self._read(start, min(_CHUNK, end - start))
            if not chunk:
                break
            start += len(chunk)
            content = stream.decompress(chunk, limit)
            self._budget.spend_expanded(len(content))
            limit -= len(content)
            parts.append(content)
        return b"".join(parts)

    def _opened(self, member: Member) -> Readable:
        start = self._content(member)
        if member.method == _STORED:
            return Slice(self._file, start, member.packed)
        if member.unpacked > RATIO * member.packed + _CHUNK:
            raise BadArchive(SkipReason.ARCHIVE_BOUNDS, f"{member.packed} bytes claim {member.unpacked}")
        packed = Slice(self._file, start, member.packed)
        inflated = Inflated(packed, member.unpacked, self._budget.spend_expanded)
        if member.unpacked > BUFFERED_BYTES:
            return inflated
        return io.BytesIO(inflated.read(member.unpacked))

    def _content(self, member: Member) -> int:
        """Where the content of ``member`` begins: after its local header, whose own lengths count."""
        if member.flags & _ENCRYPTED or member.method not in (_STORED, _DEFLATED):
            raise BadArchive(
                SkipReason.MALFORMED, f"{_text(member)}: encrypted, or compressed by {member.method}"
            )
        signature, name, extra = _LOCAL.unpack(self._read(member.offset, _LOCAL.size))
        if signature != b"PK\x03\x04":
            raise BadArchive(SkipReason.MALFORMED, f"{_text(member)}: no entry where the directory says")
        start = member.offset + _LOCAL.size + int(name) + int(extra)
        if start + member.packed > self._size:
            raise BadArchive(SkipReason.MALFORMED, f"{_text(member)}: reaches beyond the end")
        return start

    def _members(self) -> Iterator[Member]:
        unpack, header, budget, shift = _ENTRY.unpack_from, _ENTRY.size, self._budget, self._shift
        position, left, rest = self._start, self._length, b""
        while left:
            budget.check_time()
            chunk = self._read(position, min(_CHUNK, left))
            if not chunk:
                break
            position += len(chunk)
            left -= len(chunk)
            window, at = rest + chunk, 0
            while at + header <= len(window):
                signature, flags, method, packed, unpacked, named, extra, comment, offset = unpack(window, at)
                if signature != b"PK\x01\x02":
                    raise BadArchive(SkipReason.MALFORMED, "its directory has something else in between")
                name_end = at + header + named
                end = name_end + extra + comment
                if end > len(window):
                    break
                budget.spend_entry()
                if _FULL_32 in (packed, unpacked, offset):
                    fields = window[name_end : name_end + extra]
                    packed, unpacked, offset = _zip64(fields, packed, unpacked, offset)
                name = window[at + header : name_end]
                yield Member(name, flags, method, packed, unpacked, offset + shift)
                at = end
            rest = window[at:]
        if left or rest:
            raise BadArchive(SkipReason.MALFORMED, "its directory is cut off")

    def _find_directory(self) -> tuple[int, int, int]:
        """Return where the directory starts, its bytes, and by how much offsets are off."""
        end, length, offset = self._end_record()
        if length > self._budget.directory:
            raise BadArchive(SkipReason.ARCHIVE_BOUNDS, f"central directory of {length} bytes")
        start = end - length
        if start < offset:
            raise BadArchive(SkipReason.MALFORMED, "its directory is outside of it")
        return start, length, start - offset

    def _end_record(self) -> tuple[int, int, int]:
        """Return where the directory ends, its length, and the offset that it claims to have."""
        tail_start = max(0, self._size - _END_SEARCH)
        tail = self._read(tail_start, _END_SEARCH)
        at = tail.rfind(b"PK\x05\x06")
        for _ in range(_END_RECORDS):
            if at < 0:
                break
            if at + _END.size <= len(tail):
                *_, length, offset, comment = _END.unpack_from(tail, at)
                end = tail_start + at
                whole = end + _END.size + comment == self._size
                if whole or self._is_directory(end - length, length, offset):
                    return self._end_record_64(end, length, offset) or (end, length, offset)
            at = tail.rfind(b"PK\x05\x06", 0, at)
        raise NotZip

    def _is_directory(self, start: int, length: int, offset: int) -> bool:
        """Whether an end record that is not the end of the file can still be the one, as the JDK decides."""
        return (
            0 <= offset <= start
            and length > 0
            and self._read(start, 4) == b"PK\x01\x02"
            and self._read(start - offset, 4) == b"PK\x03\x04"
        )

    def _end_record_64(self, end: int, length: int, offset: int) -> tuple[int, int, int] | None:
        """The same from the ZIP64 record, which may stand before any end record, if the two agree."""
        locator = end - _LOCATOR.size
        if locator < 0:
            return None
        signature, _disk, claimed, _disks = _LOCATOR.unpack(self._read(locator, _LOCATOR.size))
        if signature != b"PK\x06\x07":
            return None
        # Where it claims to be, or, when something was put in front, right before its locator.
        for start in (claimed, locator - _END64.size):
            if not 0 <= start <= locator - _END64.size:
                continue
            signature, *_, length_64, offset_64 = _END64.unpack(self._read(start, _END64.size))
            agree = length in (length_64, _FULL_32) and offset in (offset_64, _FULL_32)
            if signature == b"PK\x06\x06" and agree:
                return start, length_64, offset_64
        return None

    def _read(self, start: int, size: int) -> bytes:
        self._file.seek(start)
        return self._file.read(size)


def _zip64(fields: bytes, packed: int, unpacked: int, offset: int) -> tuple[int, int, int]:
    """The real sizes and offset: the extra field has those that are full, in this order (4.5.3)."""
    at = 0
    while at + 4 <= len(fields):
        kind, size = struct.unpack_from("<2H", fields, at)
        if kind == _ZIP64:
            values = iter(struct.unpack_from(f"<{size // 8}Q", fields, at + 4))
            unpacked = next(values, unpacked) if unpacked == _FULL_32 else unpacked
            packed = next(values, packed) if packed == _FULL_32 else packed
            offset = next(values, offset) if offset == _FULL_32 else offset
            break
        at += 4 + size
    return packed, unpacked, offset


def _text(member: Member) -> str:
    return member.name.decode("utf-8", "replace")


def _bad(error: Exception) -> BadArchive:
    if isinstance(error, OSError):
        return BadArchive(SkipReason.IO_ERROR, str(error))
    return BadArchive(SkipReason.MALFORMED, f"not a readable zip: {error}")
