"""What CLI metadata says of its assembly: name, version, culture, and the attributes on it.

ECMA-335 II.24 (streams and heaps), II.22 (tables), II.23.3 (values of custom attributes). Read row by
row: the metadata of a large assembly has tens of MB, and a few hundred bytes of it are wanted.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from sensor.node.resolve.dotnet.tables import (
    ASSEMBLY,
    CUSTOM_ATTRIBUTE,
    MEMBER_REF,
    METHOD_DEF,
    TYPE_DEF,
    TYPE_REF,
    Tables,
)
from sensor.node.resolve.dotnet.window import BadImage, Window

_ROOT = struct.Struct("<IHHII")
_MAGIC = int.from_bytes(b"BSJB", "little")
_STREAM = struct.Struct("<II")
_VERSION_LENGTH = 255
_STREAMS = 32
_NAME_BYTES = 1024
_TEXT_BYTES = 4096
_ATTRIBUTES = 256  # on an assembly; generated code has had about a hundred
_ON_ASSEMBLY = 1 << 5 | 14  # HasCustomAttribute: row 1 of the table Assembly
_WANTED = (
    "AssemblyInformationalVersionAttribute",
    "AssemblyFileVersionAttribute",
    "AssemblyCompanyAttribute",
    "AssemblyProductAttribute",
    "ReferenceAssemblyAttribute",
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """``version`` has four numbers. ``attributes``: wanted name -> its string argument, empty without one."""

    name: str
    version: tuple[int, int, int, int]
    culture: str
    attributes: dict[str, str]


def read_manifest(metadata: Window) -> Manifest | None:
    """Return the assembly's manifest, None for a module without one. Raises BadImage, and OSError."""
    streams = _streams(metadata)
    if "#~" not in streams:  # "#-", uncompressed: what no runtime loads from a file
        raise BadImage("no stream #~")
    return _Reader(streams).manifest()


def _streams(metadata: Window) -> dict[str, Window]:
    magic, _, _, _, length = metadata.unpack(0, _ROOT)
    if magic != _MAGIC or length > _VERSION_LENGTH + 1:
        raise BadImage("no metadata root")
    place = _ROOT.size + length
    count = int.from_bytes(metadata.at(place + 2, 2), "little")
    if count > _STREAMS:
        raise BadImage(f"{count} streams")
    place += 4
    streams: dict[str, Window] = {}
    for _ in range(count):
        offset, size = metadata.unpack(place, _STREAM)
        name, ended, _ = metadata.upto(place + _STREAM.size, 32).partition(b"\0")
        if not ended:
            raise BadImage("the name of a stream does not end")
        streams.setdefault(name.decode("latin-1"), metadata.part(offset, size))
        place += _STREAM.size + (len(name) + 4 & ~3)  # with its NUL, to a multiple of four
    return streams


class _Reader:
    def __init__(self, streams: dict[str, Window]) -> None:
        self._tables = Tables(streams["#~"])
        self._strings = streams.get("#Strings")
        self._blobs = streams.get("#Blob")

    def manifest(self) -> Manifest | None:
        if not self._tables.rows(ASSEMBLY):
            return None
        _, major, minor, build, revision, _, _, name, culture = self._tables.row(ASSEMBLY, 1)
        return Manifest(
            self._string(name), (major, minor, build, revision), self._string(culture), self._attributes()
        )

    def _attributes(self) -> dict[str, str]:
        found: dict[str, str] = {}
        last = self._tables.rows(CUSTOM_ATTRIBUTE)
        first = self._first_attribute(last)
        for index in range(first, min(last, first + _ATTRIBUTES - 1) + 1):
            parent, constructor, value = self._tables.row(CUSTOM_ATTRIBUTE, index)
            if parent != _ON_ASSEMBLY:
                break
            name = self._attribute_name(constructor)
            if name in _WANTED:
                found.setdefault(name, self._text(value))
        return found

    def _first_attribute(self, rows: int) -> int:
        """The first row that is on the assembly: the table is sorted by its first column (II.22)."""
        low, high = 1, rows + 1
        while low < high:
            middle = (low + high) // 2
            if self._tables.row(CUSTOM_ATTRIBUTE, middle)[0] < _ON_ASSEMBLY:
                low = middle + 1
            else:
                high = middle
        return low

    def _attribute_name(self, constructor: int) -> str:
        kind, row = constructor & 7, constructor >> 3
        if kind == 2:  # a method of this module: the runtime's own library
            return self._type_of_method(row)
        if kind != 3:
            return ""
        parent = self._tables.row(MEMBER_REF, row)[0]
        tag, row = parent & 7, parent >> 3
        if tag == 0:
            return self._string(self._tables.row(TYPE_DEF, row)[1])
        return self._string(self._tables.row(TYPE_REF, row)[1]) if tag == 1 else ""

    def _type_of_method(self, method: int) -> str:
        """The type whose list of methods holds ``method``: the last one that starts at or before it."""
        if not 1 <= method <= self._tables.rows(METHOD_DEF):
            return ""
        low, high = 1, self._tables.rows(TYPE_DEF)
        while low < high:
            middle = (low + high + 1) // 2
            if self._tables.row(TYPE_DEF, middle)[5] <= method:
                low = middle
            else:
                high = middle - 1
        return self._string(self._tables.row(TYPE_DEF, low)[1]) if high else ""

    def _string(self, offset: int) -> str:
        if self._strings is None or not offset:
            return ""
        content, ended, _ = self._strings.upto(offset, _NAME_BYTES + 1).partition(b"\0")
        if not ended:
            raise BadImage("a name without end")
        return content.decode("utf-8", "replace")

    def _text(self, offset: int) -> str:
        """The first argument of an attribute's value, if it is a string (II.23.3)."""
        if self._blobs is None or not offset:
            return ""
        length, used = compressed(self._blobs.upto(offset, 4))
        value = self._blobs.at(offset + used, length) if length <= _TEXT_BYTES else b""
        if value[:2] != b"\x01\x00" or len(value) < 5 or value[2] == 0xFF:
            return ""
        length, used = compressed(value[2:6])
        return value[2 + used : 2 + used + length].decode("utf-8", "replace")


def compressed(content: bytes) -> tuple[int, int]:
    """Return a compressed unsigned number (II.23.2) and how many bytes it took. Raises BadImage."""
    first = content[0] if content else 0xFF
    used = 1 if first < 0x80 else 2 if first < 0xC0 else 4
    if first >= 0xE0 or len(content) < used:
        raise BadImage("a compressed number of no known form")
    return int.from_bytes(content[:used], "big") & (1 << used * 8 - min(used, 3)) - 1, used
