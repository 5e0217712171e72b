"""What an ELF file links and exports, read by seeking: an interpreter of 100 MB costs a few KiB.

Layouts are those of the System V ABI ("Object Files", "Dynamic Linking") for both classes and byte
orders; DT_GNU_HASH as glibc and musl read it. Every count is bounded, for the file is a container's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NEEDED, _DT_HASH, _DT_STRTAB, _DT_SYMTAB, _DT_GNU_HASH = 1, 4, 5, 6, 0x6FFFFEF5

_PROGRAM_HEADERS = 128
_DYNAMIC_BYTES = 64 << 10
_NEEDED_LIBRARIES = 256
_CHAIN = 1024  # symbols compared in one bucket; real chains have a handful
_NAME_BYTES = 256


class NotElf(Exception):
    """Not an ELF file, or one that contradicts itself or our bounds."""


@dataclass(frozen=True, slots=True)
class DynamicFacts:
    """``interpreted``: a dynamic loader starts it, so that ``needed`` and ``exported`` tell everything."""

    needed: frozenset[str]
    exported: frozenset[str]
    interpreted: bool


@dataclass(frozen=True, slots=True)
class _Class:
    """Where the fields are. Each ``*_take`` picks the named fields from an unpacked struct."""

    header: str  # e_phoff, e_phentsize, e_phnum
    program: str
    program_take: tuple[int, int, int, int]  # type, offset, vaddr, filesz
    dynamic: str
    symbol: str
    symbol_section: int
    word: int


_CLASSES = {
    1: _Class("28xI10xHH", "8I", (0, 1, 2, 4), "iI", "IIIBBH", 5, 4),
    2: _Class("32xQ14xHH", "2I6Q", (0, 2, 3, 5), "qQ", "IBBHQQ", 3, 8),
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
        ident = self._at(0, 16)
        if len(ident) < 16 or ident[:4] != b"\x7fELF" or ident[4] not in _CLASSES or ident[5] not in (1, 2):
            raise NotElf("no ELF magic")
        self._class = _CLASSES[ident[4]]
        self._order = "<" if ident[5] == 1 else ">"
        self._loads: list[tuple[int, int, int]] = []
        self.interpreted = False
        self._dynamic: dict[int, list[int]] = {}
        self._read_program_headers()

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

    def _read_program_headers(self) -> None:
        offset, size, count = self._unpack_at(0, self._class.header)
        if count > _PROGRAM_HEADERS or size < struct.calcsize(self._order + self._class.program):
            raise NotElf(f"{count} program headers of {size} bytes")
        dynamic: tuple[int, int] | None = None
        for index in range(count):
            fields = self._unpack_at(offset + index * size, self._class.program)
            kind, start, address, length = (fields[take] for take in self._class.program_take)
            if kind == _PT_LOAD:
                self._loads.append((address, length, start))
            elif kind == _PT_DYNAMIC:
                dynamic = (start, length)
            elif kind == _PT_INTERP:
                self.interpreted = True
        if dynamic is not None:
            self._read_dynamic(*dynamic)

    def _read_dynamic(self, offset: int, length: int) -> None:
        if length > _DYNAMIC_BYTES:
            raise NotElf(f"dynamic section of {length} bytes")
        entry = struct.Struct(self._order + self._class.dynamic)
        content = self._at(offset, length // entry.size * entry.size)
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
        for start, length, offset in self._loads:
            if start <= address < start + length:
                return offset + address - start
        raise NotElf(f"address {address:#x} is in no segment")

    def _at(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)
