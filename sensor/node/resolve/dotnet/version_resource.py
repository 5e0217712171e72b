"""The strings of a PE file's version resource: what explorers show as "product version".

The PE specification ("The .rsrc Section") and Win32's VS_VERSIONINFO, StringFileInfo, StringTable, String.
Compilers put the same words there as into the attributes of the assembly.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from sensor.node.resolve.dotnet.pe import PortableExecutable
from sensor.node.resolve.dotnet.window import BadImage, Window

_VERSION_TYPE = 16  # RT_VERSION
_FOLDER = struct.Struct("<12xHH")
_ENTRY = struct.Struct("<II")
_DATA = struct.Struct("<II8x")
_BLOCK = struct.Struct("<HHH")
_SUBFOLDER = 1 << 31
_ENTRIES = 4096
_RESOURCE_BYTES = 64 << 10  # its length is a 16-bit field
_KEY_BYTES = 512
_STRINGS = 64


def read_strings(file: PortableExecutable) -> dict[str, str]:
    """Return the strings of the first language, none without the resource. Raises BadImage, and OSError."""
    if file.resources is None:
        return {}
    place = _find(file.resources)
    if place is None:
        return {}
    address, size = file.resources.unpack(place, _DATA)
    return dict(_strings(file.image.part(address, min(size, _RESOURCE_BYTES))))


def _find(resources: Window) -> int | None:
    """Where the data entry is: type 16, then the first name, then the first language."""
    entries = _entries(resources, 0)
    place = next((place for number, place in entries if number == _VERSION_TYPE), None)
    for _ in range(2):
        if place is None or not place & _SUBFOLDER:
            return None
        place = next((place for _, place in _entries(resources, place & ~_SUBFOLDER)), None)
    return None if place is None or place & _SUBFOLDER else place


def _entries(resources: Window, place: int) -> Iterator[tuple[int, int]]:
    named, numbered = resources.unpack(place, _FOLDER)
    count = named + numbered
    if count > _ENTRIES:
        raise BadImage(f"a resource folder of {count} entries")
    yield from _ENTRY.iter_unpack(resources.at(place + _FOLDER.size, count * _ENTRY.size))


def _strings(resource: Window) -> Iterator[tuple[str, str]]:
    content = resource.at(0, resource.size)
    left = _STRINGS
    for key, info in _blocks(content, *_inside(content, 0, len(content))):
        if key != "StringFileInfo":
            continue
        for _, table in _blocks(content, *_inside(content, *info)):
            for name, string in _blocks(content, *_inside(content, *table)):
                yield name, _value(content, *string)
                left -= 1
                if not left:
                    return
            return  # the first language


def _blocks(content: bytes, start: int, end: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """Key and extent of each block between ``start`` and ``end``."""
    while start + _BLOCK.size <= end:
        length = int.from_bytes(content[start : start + 2], "little")
        if length < _BLOCK.size or start + length > end:
            return
        key, _ = _key(content, start, start + length)
        yield key, (start, start + length)
        start = start + length + 3 & ~3


def _key(content: bytes, start: int, end: int) -> tuple[str, int]:
    """The key of a block, and where what follows it begins."""
    place = start + _BLOCK.size
    stop = min(end, place + _KEY_BYTES)
    at = place
    while at + 2 <= stop and content[at : at + 2] != b"\0\0":
        at += 2
    if at + 2 > stop:
        raise BadImage("a key of the version resource does not end")
    return content[place:at].decode("utf-16-le", "replace"), at + 2 + 3 & ~3


def _inside(content: bytes, start: int, end: int) -> tuple[int, int]:
    """The extent of a block's children: after its key and its value."""
    if start + _BLOCK.size > end:
        return end, end
    length, value, kind = _BLOCK.unpack_from(content, start)
    end = min(end, start + length)
    _, place = _key(content, start, end)
    return min(end, place + (value * 2 if kind == 1 else value) + 3 & ~3), end


def _value(content: bytes, start: int, end: int) -> str:
    _, place = _key(content, start, end)
    text = content[place : max(place, end)].decode("utf-16-le", "replace")
    return text.partition("\0")[0].strip()
