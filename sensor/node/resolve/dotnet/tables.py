"""The tables of CLI metadata: how wide their rows are, and where they begin (ECMA-335 II.22, II.24.2.6)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from sensor.node.resolve.dotnet.window import BadImage, Window

TYPE_REF, TYPE_DEF, METHOD_DEF, MEMBER_REF, CUSTOM_ATTRIBUTE, ASSEMBLY = 0x01, 0x02, 0x06, 0x0A, 0x0C, 0x20

_HEADER = struct.Struct("<IBBBBQQ")
_ROWS = 1 << 24  # a token has 24 bits for the row

# Coded indexes: bits of the tag, tables it may name (II.24.2.6).
_CODED: dict[str, tuple[int, tuple[int, ...]]] = {
    "TypeDefOrRef": (2, (0x02, 0x01, 0x1B)),
    "HasConstant": (2, (0x04, 0x08, 0x17)),
    "HasCustomAttribute": (
        5,
        (6, 4, 1, 2, 8, 9, 10, 0, 14, 23, 20, 17, 26, 27, 32, 35, 38, 39, 40, 42, 44, 43),
    ),
    "HasFieldMarshal": (1, (0x04, 0x08)),
    "HasDeclSecurity": (2, (0x02, 0x06, 0x20)),
    "MemberRefParent": (3, (0x02, 0x01, 0x1A, 0x06, 0x1B)),
    "HasSemantics": (1, (0x14, 0x17)),
    "MethodDefOrRef": (1, (0x06, 0x0A)),
    "MemberForwarded": (1, (0x04, 0x06)),
    "CustomAttributeType": (3, (0x06, 0x0A)),
    "ResolutionScope": (2, (0x00, 0x1A, 0x23, 0x01)),
}

# Columns up to Assembly, which is the last one read: a width in bytes, a heap, a coded index, or a table.
_COLUMNS: dict[int, tuple[int | str, ...]] = {
    0x00: (2, "#Strings", "#GUID", "#GUID", "#GUID"),  # Module
    0x01: ("ResolutionScope", "#Strings", "#Strings"),  # TypeRef
    0x02: (4, "#Strings", "#Strings", "TypeDefOrRef", "table 4", "table 6"),  # TypeDef
    0x03: ("table 4",),  # FieldPtr
    0x04: (2, "#Strings", "#Blob"),  # Field
    0x05: ("table 6",),  # MethodPtr
    0x06: (4, 2, 2, "#Strings", "#Blob", "table 8"),  # MethodDef
    0x07: ("table 8",),  # ParamPtr
    0x08: (2, 2, "#Strings"),  # Param
    0x09: ("table 2", "TypeDefOrRef"),  # InterfaceImpl
    0x0A: ("MemberRefParent", "#Strings", "#Blob"),  # MemberRef
    0x0B: (2, "HasConstant", "#Blob"),  # Constant
    0x0C: ("HasCustomAttribute", "CustomAttributeType", "#Blob"),  # CustomAttribute
    0x0D: ("HasFieldMarshal", "#Blob"),  # FieldMarshal
    0x0E: (2, "HasDeclSecurity", "#Blob"),  # DeclSecurity
    0x0F: (2, 4, "table 2"),  # ClassLayout
    0x10: (4, "table 4"),  # FieldLayout
    0x11: ("#Blob",),  # StandAloneSig
    0x12: ("table 2", "table 20"),  # EventMap
    0x13: ("table 20",),  # EventPtr
    0x14: (2, "#Strings", "TypeDefOrRef"),  # Event
    0x15: ("table 2", "table 23"),  # PropertyMap
    0x16: ("table 23",),  # PropertyPtr
    0x17: (2, "#Strings", "#Blob"),  # Property
    0x18: (2, "table 6", "HasSemantics"),  # MethodSemantics
    0x19: ("table 2", "MethodDefOrRef", "MethodDefOrRef"),  # MethodImpl
    0x1A: ("#Strings",),  # ModuleRef
    0x1B: ("#Blob",),  # TypeSpec
    0x1C: (2, "MemberForwarded", "#Strings", "table 26"),  # ImplMap
    0x1D: (4, "table 4"),  # FieldRVA
    0x1E: (4, 4),  # EncLog
    0x1F: (4,),  # EncMap
    0x20: (4, 2, 2, 2, 2, 4, "#Blob", "#Strings", "#Strings"),  # Assembly
}
_HEAP_BIT = {"#Strings": 0x01, "#GUID": 0x02, "#Blob": 0x04}


@dataclass(frozen=True, slots=True)
class Table:
    """``start`` is an offset in the stream. ``widths`` are bytes of each column."""

    start: int
    rows: int
    widths: tuple[int, ...]

    @property
    def width(self) -> int:
        return sum(self.widths)


class Tables:
    """The stream ``#~``. Rows count from 1, as in tokens."""

    def __init__(self, stream: Window) -> None:
        """Raises BadImage, and OSError."""
        self._stream = stream
        _, _, _, self._heaps, _, valid, _ = stream.unpack(0, _HEADER)
        numbers = [number for number in range(64) if valid >> number & 1]
        counts = struct.unpack(f"<{len(numbers)}I", stream.at(_HEADER.size, 4 * len(numbers)))
        self._rows = dict(zip(numbers, counts, strict=True))
        if any(count >= _ROWS for count in counts):
            raise BadImage("a table of more rows than tokens can name")
        self._tables: dict[int, Table] = {}
        # Emit of Edit and Continue puts four more bytes here (metadata/metamodelro: EXTRA_DATA).
        start = _HEADER.size + 4 * len(numbers) + (4 if self._heaps & 0x40 else 0)
        for number in numbers:
            if number > ASSEMBLY:
                break
            table = Table(start, self._rows[number], tuple(map(self._width, _COLUMNS[number])))
            self._tables[number] = table
            start += table.rows * table.width

    def rows(self, number: int) -> int:
        return self._tables[number].rows if number in self._tables else 0

    def row(self, number: int, index: int) -> tuple[int, ...]:
        """Return the columns of a row as numbers. Raises BadImage when there is no such row."""
        table = self._tables.get(number)
        if table is None or not 1 <= index <= table.rows:
            raise BadImage(f"no row {index} in table {number:#x}")
        content = self._stream.at(table.start + (index - 1) * table.width, table.width)
        columns = []
        place = 0
        for width in table.widths:
            columns.append(int.from_bytes(content[place : place + width], "little"))
            place += width
        return tuple(columns)

    def _width(self, column: int | str) -> int:
        if isinstance(column, int):
            return column
        if column in _HEAP_BIT:
            return 4 if self._heaps & _HEAP_BIT[column] else 2
        if column.startswith("table "):
            return 2 if self._rows.get(int(column[6:]), 0) < 1 << 16 else 4
        bits, tables = _CODED[column]
        return 2 if max(self._rows.get(table, 0) for table in tables) < 1 << 16 - bits else 4
