"""Dynamic symbols of a program or library, read from the memory it is loaded in.

No file is opened, so it does not matter that the file is stripped of its symbol table, deleted,
replaced by an update, or in another mount namespace. Layouts are those of the System V ABI ("Object
Files", "Dynamic Linking") for 64-bit little-endian machines (amd64, arm64), and DT_GNU_HASH as glibc
and musl read it. All of it is the container's, so every count is bounded.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from sensor.node.backfill.memory import BadAddress, ProcessMemory

_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_HASH, _DT_STRTAB, _DT_SYMTAB, _DT_GNU_HASH = 4, 5, 6, 0x6FFFFEF5

_IDENT = b"\x7fELF\x02\x01"  # 64 bits, little-endian
_HEADER = struct.Struct("<32xQ14xHH")  # e_phoff, e_phentsize, e_phnum
_PROGRAM = struct.Struct("<I4xQQ16xQ8x")  # p_type, p_offset, p_vaddr, p_memsz
_DYNAMIC = struct.Struct("<qQ")
_SYMBOL = struct.Struct("<I2xHQQ")  # st_name, st_shndx, st_value, st_size

_PROGRAM_HEADERS = 64
_DYNAMIC_BYTES = 16 << 10
_CHAIN = 256  # symbols compared in one bucket; real chains have a handful


class NotElf(Exception):
    """No ELF image with dynamic symbols, or one that contradicts itself."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """Where something stands in the process, and how large the linker says it is."""

    address: int
    size: int


class Image:
    """A loaded ELF file whose header is mapped at ``base``. Raises NotElf and what a read raises."""

    def __init__(self, memory: ProcessMemory, base: int) -> None:
        self._memory = memory
        self._base = base
        bias, dynamic = self._layout()
        self._bias = bias
        tags = self._dynamic(*dynamic)
        self._names = self._absolute(tags, _DT_STRTAB)
        self._symbols = self._absolute(tags, _DT_SYMTAB)
        self._gnu_hash = self._absolute(tags, _DT_GNU_HASH) if _DT_GNU_HASH in tags else 0
        self._hash = self._absolute(tags, _DT_HASH) if _DT_HASH in tags else 0

    def lookup(self, name: str) -> Symbol | None:
        """Return the symbol if this image defines it for others; raises what a read raises."""
        wanted = name.encode()
        if self._gnu_hash:
            candidates = self._gnu_candidates(wanted)
        elif self._hash:
            candidates = self._sysv_candidates(wanted)
        else:
            return None
        for index in candidates:
            if (symbol := self._symbol(index, wanted)) is not None:
                return symbol
        return None

    def _layout(self) -> tuple[int, tuple[int, int]]:
        header = self._memory.read(self._base, 64)
        offset, size, count = _HEADER.unpack_from(header)
        if header[: len(_IDENT)] != _IDENT or size != _PROGRAM.size or not 0 < count <= _PROGRAM_HEADERS:
            raise NotElf(f"no 64-bit little-endian ELF header at {self._base:#x}")
        first: int | None = None
        dynamic: tuple[int, int] | None = None
        table = self._memory.read(self._base + offset, size * count)
        for kind, start, address, length in _PROGRAM.iter_unpack(table):
            if kind == _PT_LOAD and first is None:
                first = address - start
            elif kind == _PT_DYNAMIC:
                dynamic = (address, length)
        if dynamic is None:
            raise NotElf("statically linked")
        bias = self._base - (first or 0)
        return bias, (bias + dynamic[0], dynamic[1])

    def _dynamic(self, address: int, size: int) -> dict[int, int]:
        if not 0 < size <= _DYNAMIC_BYTES:
            raise NotElf(f"dynamic section of {size} bytes")
        tags: dict[int, int] = {}
        for tag, value in _DYNAMIC.iter_unpack(self._memory.read(address, size // 16 * 16)):
            if tag == 0:
                break
            tags.setdefault(tag, value)
        return tags

    def _absolute(self, tags: dict[int, int], tag: int) -> int:
        if tag not in tags:
            raise NotElf(f"no dynamic entry {tag}")
        value = tags[tag]
        # glibc relocates these addresses in place (except on read-only sections), musl does not
        return value if value >= self._base else value + self._bias

    def _gnu_candidates(self, name: bytes) -> Iterator[int]:
        value = 5381
        for byte in name:
            value = (value * 33 + byte) & 0xFFFFFFFF
        buckets, first, bloom, _shift = self._halves(self._gnu_hash, 4)
        if buckets == 0:
            return
        table = self._gnu_hash + 16 + bloom * 8
        chains = table + 4 * buckets
        (index,) = self._halves(table + 4 * (value % buckets), 1)
        if index < first:
            return  # an empty bucket
        for step in range(_CHAIN):
            (hashed,) = self._halves(chains + 4 * (index - first + step), 1)
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
        buckets, _symbols = self._halves(self._hash, 2)
        if buckets == 0:
            return
        (index,) = self._halves(self._hash + 8 + 4 * (value % buckets), 1)
        for _ in range(_CHAIN):
            if index == 0:
                return
            yield index
            (index,) = self._halves(self._hash + 8 + 4 * (buckets + index), 1)

    def _symbol(self, index: int, wanted: bytes) -> Symbol | None:
        entry = self._memory.read(self._symbols + index * _SYMBOL.size, _SYMBOL.size)
        name, section, value, size = _SYMBOL.unpack(entry)
        if section == 0:
            return None  # used here, defined elsewhere
        try:
            found = self._memory.read(self._names + name, len(wanted) + 1)
        except BadAddress:
            return None  # at the very end of its mapping stands a shorter name
        return Symbol(value + self._bias, size) if found == wanted + b"\0" else None

    def _halves(self, address: int, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}I", self._memory.read(address, count * 4))
