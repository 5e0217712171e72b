"""HotSpot's own description of its structures, which it carries for debuggers.

``libjvm.so`` exports tables of the fields and constants that the Serviceability Agent reads, and
symbols that tell how the tables are laid out (OpenJDK: ``runtime/vmStructs.hpp``, the same from JDK 7
to 26). So no offset is assumed here for any version, vendor or architecture.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterator
from typing import Protocol

from sensor.node.backfill.memory import BadAddress

_BLOCK = 16 << 10  # about 25 classes, or 300 names
_PAGE = 4 << 10
_BLOCKS = 512  # held at a time: 8 MiB
_ENTRIES = 20_000  # of a table; JDK 25 has about 700, JDK 8 about 3,000
_NAME = 256  # bytes of a type's, field's or constant's name
_STRIDE = 256  # bytes of an entry; it has 48

_WORD = struct.Struct("<Q")
_INT = struct.Struct("<i")


class NotDescribed(Exception):
    """The tables are missing, not filled yet, or do not tell what is needed."""


class Readable(Protocol):
    """What is needed of :class:`sensor.node.backfill.memory.ProcessMemory`."""

    def read(self, address: int, size: int) -> bytes: ...

    def around(self, address: int, size: int) -> tuple[int, bytes]: ...


class Blocks:
    """Small reads that stand close together, served from blocks of memory that are read once.

    Everything seen until :meth:`forget` is of about one moment. Raises what the memory raises.
    """

    def __init__(self, memory: Readable) -> None:
        self._memory = memory
        self._blocks: dict[int, tuple[int, bytes]] = {}

    def forget(self) -> None:
        """Read anew from now on."""
        self._blocks.clear()

    def locate(self, address: int, size: int) -> tuple[bytes, int]:
        """Return bytes, and where in them the ``size`` bytes at ``address`` begin."""
        block = self._blocks.get(address // _BLOCK)
        if block is not None:
            start, content = block
            if start <= address and address + size <= start + len(content):
                return content, address - start
        return self._fetch(address, size)

    def word(self, address: int) -> int:
        """Return one unsigned 64-bit word."""
        content, at = self.locate(address, 8)
        return int(_WORD.unpack_from(content, at)[0])

    def text(self, address: int) -> str:
        """Return a C string of bounded length. Raises BadAddress for a longer one."""
        content, at = self.locate(address, 1)
        end = content.find(b"\0", at, at + _NAME)
        if end < 0:  # it crosses into the next block, or is none
            content, at = self._memory.read(address, _NAME), 0
            end = content.find(b"\0")
            if end < 0:
                raise BadAddress(f"no name at {address:#x}")
        return content[at:end].decode("latin-1")

    def _fetch(self, address: int, size: int) -> tuple[bytes, int]:
        try:
            start, content = self._memory.around(address, _BLOCK)
        except BadAddress:  # of a file on a strange file system only what is resident may be read
            start, content = self._memory.around(address, _PAGE)
        if start <= address and address + size <= start + len(content):
            if len(self._blocks) >= _BLOCKS:
                self._blocks.clear()
            self._blocks[address // _BLOCK] = start, content
            return content, address - start
        return self._memory.read(address, size), 0


class Structs:
    """Offsets of fields, addresses of static fields and values of constants.

    ``symbol`` returns the address of an exported variable, None if there is no such.
    Only fields of ``types`` and constants that begin with one of them are kept.
    Raises NotDescribed, and what the memory raises.
    """

    def __init__(self, blocks: Blocks, symbol: Callable[[str], int | None], types: Collection[str]) -> None:
        self._blocks = blocks
        self._symbol = symbol
        self._names: dict[int, str] = {}
        self._fields: dict[tuple[str, str], int] = {}
        self._constants: dict[str, int] = {}
        self._read_fields(frozenset(types))
        self._read_constants(tuple(f"{kind}::" for kind in types))

    def has(self, kind: str, field: str) -> bool:
        """Whether the field is described."""
        return (kind, field) in self._fields

    def field(self, kind: str, *names: str) -> int:
        """Return the offset of the first of ``names`` there is, or the address if it is static."""
        for name in names:
            if (kind, name) in self._fields:
                return self._fields[kind, name]
        raise NotDescribed(f"{kind}::{names[0]}")

    def constant(self, name: str) -> int:
        """Return the value of a constant, ``InstanceKlass::loaded``."""
        if name not in self._constants:
            raise NotDescribed(name)
        return self._constants[name]

    def _read_fields(self, types: frozenset[str]) -> None:
        of = "gHotSpotVMStructEntry"
        kind_at, field_at, static_at, offset_at, address_at = (
            self._variable(of + name)
            for name in (
                "TypeNameOffset",
                "FieldNameOffset",
                "IsStaticOffset",
                "OffsetOffset",
                "AddressOffset",
            )
        )
        size = max(kind_at, field_at, static_at, offset_at, address_at) + 8
        for content, at in self._entries("gHotSpotVMStructs", of + "ArrayStride", size, kind_at):
            kind = self._name(_WORD.unpack_from(content, at + kind_at)[0])
            if kind not in types:
                continue
            field = self._name(_WORD.unpack_from(content, at + field_at)[0])
            (static,) = _INT.unpack_from(content, at + static_at)
            where = address_at if static else offset_at
            self._fields.setdefault((kind, field), _WORD.unpack_from(content, at + where)[0])

    def _read_constants(self, prefixes: tuple[str, ...]) -> None:
        of = "gHotSpotVMIntConstantEntry"
        name_at, value_at = self._variable(of + "NameOffset"), self._variable(of + "ValueOffset")
        size = max(name_at, value_at) + 8
        for content, at in self._entries("gHotSpotVMIntConstants", of + "ArrayStride", size, name_at):
            name = self._name(_WORD.unpack_from(content, at + name_at)[0])
            if name.startswith(prefixes):
                self._constants.setdefault(name, _INT.unpack_from(content, at + value_at)[0])

    def _entries(self, table: str, stride: str, size: int, name_at: int) -> Iterator[tuple[bytes, int]]:
        """Yield each entry as bytes and a position in them; the last one of a table has no name."""
        start, step = self._variable(table, limit=1 << 64), self._variable(stride)
        if not size <= step:
            raise NotDescribed(f"{table}: entries of {step} bytes")
        for number in range(_ENTRIES):
            content, at = self._blocks.locate(start + number * step, step)
            if _WORD.unpack_from(content, at + name_at)[0] == 0:
                return
            yield content, at
        raise NotDescribed(f"{table}: more than {_ENTRIES} entries")

    def _variable(self, name: str, limit: int = _STRIDE) -> int:
        address = self._symbol(name)
        if address is None:
            raise NotDescribed(name)
        value = self._blocks.word(address)
        if value > limit:
            raise NotDescribed(f"{name} is {value}")
        return value

    def _name(self, address: int) -> str:
        """The linker keeps each string once, so that most are known already."""
        name = self._names.get(address)
        if name is None:
            name = self._names[address] = self._blocks.text(address) if address else ""
        return name
