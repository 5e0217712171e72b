"""What an ELF file links and exports, read by seeking: an interpreter of 100 MB costs a few KiB.

Layouts are those of the System V ABI ("Dynamic Linking") for both classes and byte orders; DT_GNU_HASH
as glibc and musl read it. Every count is bounded, for the file is a container's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from sensor.node.resolve.elf_layout import PT_DYNAMIC, PT_LOAD, Layout, NotElf, Segment

__all__ = ["DynamicFacts", "NotElf", "dynamic_facts"]

_DT_NEEDED, _DT_HASH, _DT_STRTAB, _DT_SYMTAB, _DT_GNU_HASH = 1, 4, 5, 6, 0x6FFFFEF5

_DYNAMIC_BYTES = 64 << 10
_NEEDED_LIBRARIES = 256
_CHAIN = 1024  # symbols compared in one bucket; real chains have a handful
_NAME_BYTES = 256


@dataclass(frozen=True, slots=True)
class DynamicFacts:
    """``interpreted``: a dynamic loader starts it, so that ``needed`` and ``exported`` tell everything."""

    needed: frozenset[str]
    exported: frozenset[str]
    interpreted: bool


@dataclass(frozen=True, slots=True)
class _Class:
    """Where the fields are."""

    dynamic: str
    symbol: str
    symbol_section: int
    word: int


_CLASSES = {
    32: _Class("iI", "IIIBBH", 5, 4),
    64: _Class("qQ", "IBBHQQ", 3, 8),
}


def dynamic_facts(file: BinaryIO, symbols: Iterable[str]) -> DynamicFacts:
    """Return what ``file`` links, and which of ``symbols`` it defines for others.

    Raises NotElf, and OSError when the file cannot be read.
    """
    try:
        image = _Image(file)
        exported = frozenset(name for name in symbols if image.exports(name.encode()))
        return DynamicFacts(frozenset(image.needed()), exported, image.interpreted)
    except (struct.error, ValueError, OverflowError, ZeroDivisionError) as error:
        raise NotElf(str(error)) from error


class _Image:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        layout = Layout(self._at)
        self._class = _CLASSES[layout.bits]
        self._order = layout.order
        self._loads = [segment for segment in layout.segments if segment.kind == PT_LOAD]
        self.interpreted = layout.interpreted
        self._dynamic: dict[int, list[int]] = {}
        for segment in layout.segments:
            if segment.kind == PT_DYNAMIC:
                self._read_dynamic(segment)

    def needed(self) -> Iterator[str]:
        for offset in self._dynamic.get(_DT_NEEDED, [])[:_NEEDED_LIBRARIES]:
            yield self._name(offset).decode(errors="replace")

    def exports(self, name: bytes) -> bool:
        if _DT_GNU_HASH in self._dynamic:
            candidates = self._gnu_candidates(name)
        elif _DT_HASH in self._dynamic:
            candidates = self._sysv_candidates(name)
        else:
            return False
        return any(self._defines(index, name) for index in candidates)

    def _read_dynamic(self, segment: Segment) -> None:
        if segment.size > _DYNAMIC_BYTES:
            raise NotElf(f"dynamic section of {segment.size} bytes")
        entry = struct.Struct(self._order + self._class.dynamic)
        content = self._at(segment.offset, segment.size // entry.size * entry.size)
        for tag, value in entry.iter_unpack(content):
            if tag == 0:
                break
            self._dynamic.setdefault(tag, []).append(value)

    def _gnu_candidates(self, name: bytes) -> Iterator[int]:
        value = 5381
        for byte in name:
            value = (value * 33 + byte) & 0xFFFFFFFF
        table = self._dynamic[_DT_GNU_HASH][0]
        buckets, first, bloom, _shift = self._words(table, 4)
        bucket_table = table + 16 + bloom * self._class.word
        chains = bucket_table + 4 * buckets
        (index,) = self._words(bucket_table + 4 * (value % buckets), 1)
        if index < first:
            return  # an empty bucket
        for step in range(_CHAIN):
            (hashed,) = self._words(chains + 4 * (index - first + step), 1)
            if hashed | 1 == value | 1:
                yield index + step
            if hashed & 1:
                return

    def _sysv_candidates(self, name: bytes) -> Iterator[int]:
        value = 0
        for byte in name:
            value = (value << 4) + byte
            high = value & 0xF0000000
            value = (value ^ high >> 24) & ~high
        table = self._dynamic[_DT_HASH][0]
        buckets, _symbols = self._words(table, 2)
        (index,) = self._words(table + 8 + 4 * (value % buckets), 1)
        for _ in range(_CHAIN):
            if index == 0:
                return
            yield index
            (index,) = self._words(table + 8 + 4 * (buckets + index), 1)

    def _defines(self, index: int, name: bytes) -> bool:
        size = struct.calcsize(self._order + self._class.symbol)
        place = self._offset(self._first(_DT_SYMTAB) + index * size)
        fields = self._unpack_at(place, self._class.symbol)
        return fields[self._class.symbol_section] != 0 and self._name(fields[0]) == name

    def _name(self, offset: int) -> bytes:
        self._file.seek(self._offset(self._first(_DT_STRTAB) + offset))
        return self._file.read(_NAME_BYTES).partition(b"\0")[0]

    def _first(self, tag: int) -> int:
        values = self._dynamic.get(tag)
        if not values:
            raise NotElf(f"no dynamic entry {tag}")
        return values[0]

    def _words(self, address: int, count: int) -> tuple[int, ...]:
        return self._unpack_at(self._offset(address), f"{count}I")

    def _unpack_at(self, offset: int, layout: str) -> tuple[int, ...]:
        layout = self._order + layout
        return struct.unpack(layout, self._at(offset, struct.calcsize(layout)))

    def _offset(self, address: int) -> int:
        for segment in self._loads:
            if segment.address <= address < segment.address + segment.size:
                return segment.offset + address - segment.address
        raise NotElf(f"address {address:#x} is in no segment")

    def _at(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)
