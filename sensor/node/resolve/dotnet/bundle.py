"""Single-file programs: an ELF with the application's files appended, and a manifest of them.

dotnet/runtime: src/native/corehost/bundle (header.h, file_entry.h, reader.cpp) and
Microsoft.NET.HostModel (Bundler.cs, Manifest.cs, FileEntry.cs); the marker is bundle_marker.cpp's.
Manifests have version 1 (.NET Core 3), 2 (.NET 5) and 6 (from .NET 6 on).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from sensor.node.resolve.dotnet.window import BadImage, Window

SIGNATURE = bytes.fromhex("8b1202b96a612038727b930214d7a03213f5b9e6efae3318ee3b2dce24b36aae")
"""Stands in the program's data, after the offset of the manifest (8 bytes, zero in what is no bundle).

SHA-256 of ".net core bundle" and a line feed, which the comment in bundle_marker.cpp forgets."""

ENTRIES = 5_000
MANIFEST_LIMIT = 1 << 20
_SCAN_LIMIT = 64 << 20
_CHUNK = 1 << 20
_NAME = 4096
_VERSIONS = frozenset({1, 2, 6})

_IDENT = struct.Struct("<4sBB10x")
_HEADER = struct.Struct("<HHIQQQIHHHHHH")  # of a 64-bit little-endian ELF, after its 16 bytes of identity
_PROGRAM = struct.Struct("<IIQQQQQQ")
_PT_LOAD, _WRITABLE = 1, 2
_PROGRAM_HEADERS = 128
_SECTION_HEADER = 64

_FIXED = struct.Struct("<IIi")
_LOCATIONS = struct.Struct("<qqqqQ")  # deps.json, runtimeconfig.json, flags; from version 2 on
_ENTRY = struct.Struct("<qqB")
_ENTRY_PACKED = struct.Struct("<qqqB")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in the bundle. ``stored`` are its bytes there, ``packed`` whether they are deflated."""

    path: str
    offset: int
    size: int
    stored: int
    packed: bool


@dataclass(frozen=True, slots=True)
class Bundle:
    """``identifier`` names the folder that files are extracted to, below one of the program's name."""

    version: int
    identifier: str
    entries: tuple[Entry, ...]


def read_bundle(file: BinaryIO, size: int) -> Bundle | None:
    """Return what is bundled in an ELF of ``size`` bytes, None when it is none.

    Raises BadImage, and OSError.
    """
    window = Window(file, 0, size)
    offset = _manifest_offset(window)
    return _Manifest(window, offset).read() if offset else None


def content_of(file: BinaryIO, size: int, entry: Entry, limit: int) -> bytes:
    """Return the content of a bundled file of at most ``limit`` bytes. Raises BadImage, and OSError."""
    if entry.size > limit or entry.stored > limit:
        raise BadImage(f"{entry.path}: {entry.size} bytes in the bundle, at most {limit} are read")
    window = Window(file, entry.offset, entry.stored)
    stored = b"".join(window.upto(start, _CHUNK) for start in range(0, entry.stored, _CHUNK))
    if not entry.packed:
        return stored
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(stored, limit)
    except zlib.error as error:
        raise BadImage(f"{entry.path}: {error}") from error


def _manifest_offset(window: Window) -> int:
    """What the marker says; 0 without one."""
    if window.size < _IDENT.size + _HEADER.size:
        return 0
    magic, bits, order = _IDENT.unpack(window.at(0, _IDENT.size))
    if magic != b"\x7fELF" or bits != 2 or order != 1:  # .NET makes bundles for 64 bits, little endian
        return 0
    fields = window.unpack(_IDENT.size, _HEADER)
    programs_at, sections_at = fields[4], fields[5]
    program_size, programs, section_size, sections = fields[8:12]
    if (
        sections_at
        and section_size == _SECTION_HEADER
        and sections_at + sections * section_size >= window.size
    ):
        return 0  # nothing is appended: nearly every program
    if programs > _PROGRAM_HEADERS or program_size != _PROGRAM.size:
        return 0
    for start, length in _data(window, programs_at, programs):
        if offset := _marked(window, start, length):
            return offset
    return 0


def _data(window: Window, at: int, count: int) -> Iterator[tuple[int, int]]:
    """The extents of what is loaded writable: the marker is a variable."""
    for kind, flags, offset, _, _, length, _, _ in _PROGRAM.iter_unpack(window.at(at, count * _PROGRAM.size)):
        if kind == _PT_LOAD and flags & _WRITABLE and offset < window.size:
            yield offset, min(length, window.size - offset, _SCAN_LIMIT)


def _marked(window: Window, start: int, length: int) -> int:
    tail = b""
    for at in range(start, start + length, _CHUNK // 2):
        piece = tail + window.at(at, min(_CHUNK // 2, start + length - at))
        place = piece.find(SIGNATURE)
        while place >= 0:
            if (
                place >= 8
                and 0 < (offset := int.from_bytes(piece[place - 8 : place], "little")) < window.size
            ):
                return offset
            place = piece.find(SIGNATURE, place + 1)
        tail = piece[-(len(SIGNATURE) + 7) :]
    return 0


class _Manifest:
    def __init__(self, window: Window, offset: int) -> None:
        self._size = window.size
        length = min(MANIFEST_LIMIT, window.size - offset)
        parts = [window.upto(at, _CHUNK) for at in range(offset, offset + length, _CHUNK)]
        self._content = b"".join(parts)[:length]
        self._at = 0

    def read(self) -> Bundle:
        version, _, count = self._take(_FIXED)
        if version not in _VERSIONS:
            raise BadImage(f"a bundle of version {version}")
        if not 0 < count <= ENTRIES:
            raise BadImage(f"a bundle of {count} files")
        identifier = self._text()
        if version >= 2:
            self._take(_LOCATIONS)
        return Bundle(version, identifier, tuple(self._entry(version) for _ in range(count)))

    def _entry(self, version: int) -> Entry:
        packed = 0
        if version >= 6:
            offset, size, packed, _ = self._take(_ENTRY_PACKED)
        else:
            offset, size, _ = self._take(_ENTRY)
        path = self._text().replace("\\", "/")
        stored = packed or size
        if offset <= 0 or size < 0 or packed < 0 or offset + stored > self._size:
            raise BadImage(f"{path}: {stored} bytes at {offset} of {self._size}")
        return Entry(path, offset, size, stored, packed > 0)

    def _take(self, layout: struct.Struct) -> tuple[int, ...]:
        content = self._content[self._at : self._at + layout.size]
        if len(content) != layout.size:
            raise BadImage("the manifest of a bundle is cut off")
        self._at += layout.size
        return layout.unpack(content)

    def _text(self) -> str:
        """A length in groups of seven bits (BinaryWriter.Write(string)), and UTF-8."""
        length = shift = 0
        while True:
            byte = self._content[self._at : self._at + 1]
            if not byte or shift > 14:
                raise BadImage("the manifest of a bundle is cut off")
            self._at += 1
            length |= (byte[0] & 0x7F) << shift
            shift += 7
            if not byte[0] & 0x80:
                break
        text = self._content[self._at : self._at + length]
        if len(text) != length or length > _NAME:
            raise BadImage(f"a name of {length} bytes in the manifest of a bundle")
        self._at += length
        return text.decode("utf-8", "replace")
