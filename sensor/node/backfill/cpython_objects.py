"""Strings and dictionaries of CPython 3.8 to 3.14, read from the memory of a running interpreter.

No table of offsets per version: the object header's size and the string's layout are taken from the
interpreter's own type objects. One change no type object tells: the layout of a dictionary's keys,
which is another since 3.11 (``Objects/dictobject.c``, ``Include/internal/pycore_dict.h``).

The interpreter runs on while it is read. What is read in one call belongs to one moment unless Torn
is raised; whoever combines calls compares :class:`Table` before and after.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from sensor.node.backfill.memory import BadAddress, ProcessMemory

ENTRIES_MAX = 200_000
"""Entries of one dictionary that are read, deleted ones included."""

_TEXT_MAX = 4096  # characters; PATH_MAX, and no module's name comes near
_TEXT_GUESS = 160  # bytes of text read along with the header: most names and paths in one read
_KEYS_HEADER = 40
_KINDS = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}
_INTERNED_BITS = (2, 8, 16)  # width of ``interned``, which precedes kind: wider in free-threaded 3.14
_BASES = 16
_BASE_WORD = 29  # tp_base, counted in words from tp_name (``Include/cpython/object.h``)


class Torn(Exception):
    """What was read contradicts itself: it changed meanwhile, or is not what it was taken for."""


@dataclass(frozen=True, slots=True)
class Types:
    """Addresses of the interpreter's type objects, and of None."""

    type: int
    dict: int
    module: int
    text: int
    none: int


@dataclass(frozen=True, slots=True)
class Table:
    """State of a dictionary. Equal before and after means that nothing was added or removed meanwhile.

    ``tag`` is ``ma_version_tag`` up to 3.12, unique for every change (PEP 509); later it is constant.
    """

    used: int
    tag: int
    keys: int
    first: int
    count: int
    width: int


class Objects:
    """Reads objects. Every method raises Torn, and what a read raises."""

    def __init__(self, memory: ProcessMemory, types: Types, since_3_11: bool) -> None:
        self._memory = memory
        self._types = types
        self._since_3_11 = since_3_11
        self._type_offset = self._find_type_offset()
        self.header = self._type_offset + 8
        """Bytes of PyObject_HEAD."""
        self._ascii, self._compact = self._find_text_offsets()
        self._module_types = {types.module: True}

    def type_of(self, address: int) -> int:
        """Return the address of the object's type."""
        return self._memory.word(address + self._type_offset)

    def is_none(self, address: int) -> bool:
        """Whether this is None."""
        return address == self._types.none

    def is_module(self, address: int) -> bool:
        """Whether it is an instance of ``types.ModuleType`` or of a subclass of it."""
        kind = self.type_of(address)
        if kind not in self._module_types and len(self._module_types) < ENTRIES_MAX:
            self._module_types[kind] = self._derives_from_module(kind)
        return self._module_types.get(kind, False)

    def namespace(self, module: int) -> int | None:
        """Return the address of a module's ``__dict__`` (``md_dict``, the first field of PyModuleObject)."""
        address = self._memory.word(module + self.header)
        return address if address and self.type_of(address) == self._types.dict else None

    def text(self, address: int) -> str | None:
        """Return a ``str`` object's text, None if the object is of another type (subclasses included)."""
        start = self._text_start(address)
        if struct.unpack_from("<Q", start, self._type_offset)[0] != self._types.text:
            return None
        length, _hash, state = struct.unpack_from("<QQI", start, self.header)
        kind, is_ascii = _text_state(state)
        size = length * kind
        if length > _TEXT_MAX:
            raise Torn(f"text of {length} characters")
        offset = self._ascii if is_ascii else self._compact
        content = start[offset : offset + size]
        if len(content) < size:
            content = self._memory.read(address + offset, size)
        try:
            return content.decode(_KINDS[kind], "surrogatepass")  # as os.fsdecode() keeps undecodable bytes
        except UnicodeDecodeError as error:
            raise Torn("text beyond Unicode") from error

    def table(self, address: int) -> Table:
        """Return the state of a dictionary whose keys and values stand together (not an instance's own)."""
        words = self._memory.words(address + self._type_offset, 5)
        kind, used, tag, keys, values = words
        if kind != self._types.dict or values:
            raise Torn(f"no plain dictionary at {address:#x}")
        offset, count, width = self._keys(self._memory.read(keys, _KEYS_HEADER))
        if not used <= count <= ENTRIES_MAX:
            raise Torn(f"dictionary of {used} in {count} entries")
        return Table(used, tag, keys, keys + offset, count, width)

    def entries(self, table: Table, limit: int = ENTRIES_MAX) -> list[tuple[int, int]]:
        """Return (key, value) addresses of the first ``limit`` entries, deleted ones left out."""
        return [(key, value) for _, key, value in self.slots(table, limit)]

    def slots(self, table: Table, limit: int = ENTRIES_MAX) -> list[tuple[int, int, int]]:
        """Return (slot, key, value) of the same entries; a slot is where an entry's two addresses stand."""
        count, width = min(table.count, limit), table.width
        if not count:
            return []
        words = self._memory.words(table.first, count * width)
        first = table.first + (width - 2) * 8
        slots = range(first, first + count * width * 8, width * 8)
        listed = zip(slots, words[width - 2 :: width], words[width - 1 :: width], strict=True)
        return [entry for entry in listed if entry[1] and entry[2]]

    def holds(self, slot: int, key: int, value: int) -> bool:
        """Whether the entry still stands there. A dictionary uses no slot twice before it moves them all."""
        return self._memory.words(slot, 2) == (key, value)

    def _keys(self, header: bytes) -> tuple[int, int, int]:
        """Return where the entries begin, their count, and the words of each."""
        if not self._since_3_11:  # refcnt, size, lookup, usable, nentries, then the index
            size, count = struct.unpack_from("<8xQ16xQ", header)
            width = 1 if size <= 0xFF else 2 if size <= 0xFFFF else 4
            if size > ENTRIES_MAX * 4:
                raise Torn(f"index of {size} entries")
            return 40 + size * width, count, 3
        # refcnt, log2_size, log2_index_bytes, kind, version, usable, nentries, then the index
        log2_index, kind, count = struct.unpack_from("<9xBB13xQ", header)
        if log2_index > 24 or kind > 1:
            raise Torn(f"keys of kind {kind}, index of 2**{log2_index} bytes")
        return 32 + (1 << log2_index), count, 2 if kind == 1 else 3

    def _text_start(self, address: int) -> bytes:
        try:
            return self._memory.read(address, self._compact + _TEXT_GUESS)
        except BadAddress:
            return self._memory.read(address, self._ascii)  # near the end of its region

    def _find_type_offset(self) -> int:
        """Where ``ob_type`` is: behind one word, or three if free-threaded or built to trace references."""
        words = self._memory.words(self._types.dict, 5)
        for index in (1, 3):
            if words[index] == self._types.type:
                return index * 8
        raise Torn("PyDict_Type is not of PyType_Type")

    def _find_text_offsets(self) -> tuple[int, int]:
        """Where text begins in an ASCII string, and in another; 3.12 dropped ``wstr`` (PEP 623)."""
        basic_size = self._memory.word(self._types.text + self.header + 16)
        if basic_size - self.header == 64:
            return self.header + 32, self.header + 56
        if basic_size - self.header == 48:
            return self.header + 24, self.header + 40
        raise Torn(f"str objects of {basic_size} bytes")

    def _derives_from_module(self, kind: int) -> bool:
        for _ in range(_BASES):
            if kind == self._types.module:
                return True
            if not kind or self.type_of(kind) == 0:
                return False
            kind = self._memory.word(kind + self.header + 8 + _BASE_WORD * 8)
        return False


def _text_state(state: int) -> tuple[int, bool]:
    """Return bytes per character and whether it is ASCII (``interned``, kind:3, compact:1, ascii:1)."""
    for shift in _INTERNED_BITS:
        bits = state >> shift
        if bits & 8 and bits & 7 in _KINDS:
            return bits & 7, bool(bits & 16)
    raise Torn(f"text of state {state:#x}")
