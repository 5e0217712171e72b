"""The table by which a Go program names its functions in stack traces: it survives every stripping.

Formats: Go's src/debug/gosym/pclntab.go. From Go 1.16 on the names of functions and of files are tables of
their own (cmd/link/internal/ld/pcln.go), streamed here. Up to Go 1.15 a name is found by way of its
function. Functions that were inlined everywhere are named too, from 1.16 on: their code is in the program.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from sensor.node.resolve.go.image import CHUNK, BadGo, Image, Span, search, word

SECTIONS = (b".gopclntab", b".data.rel.ro.gopclntab")  # the second in position-independent programs

_GO_1_2, _GO_1_16, _GO_1_18, _GO_1_20 = 0xFFFFFFFB, 0xFFFFFFFA, 0xFFFFFFF0, 0xFFFFFFF1
_NEWEST_FIRST = (_GO_1_20, _GO_1_18, _GO_1_16, _GO_1_2)
_QUANTA, _POINTERS = (1, 2, 4), (4, 8)
_FUNCTIONS = 1 << 24
_NAMES_BYTES = 192 << 20  # the largest programs known have 40 MiB of names
_NAME_BYTES = 64 << 10  # instances of generic functions reach some KiB
_WINDOW = 64 << 10
_WINDOWS = 8
_BATCH = 4096  # functions, of the old format


class ForeignTable(Exception):
    """Its section is there, and its magic is none of Go's: a tool has rewritten it (garble does)."""


@dataclass(frozen=True, slots=True)
class Table:
    """``names`` and ``files`` are spans of names ended by zero bytes, ``None`` in the old format."""

    start: int
    pointer: int
    functions: int
    names: Span | None
    files: Span | None


def find_table(image: Image) -> Table | None:
    """Return the table, by its section or else by its magic. Raises ForeignTable and what a read raises."""
    section = image.section(*SECTIONS)
    if section is not None:
        head = image.read(section.address, 8)
        magic = _magic(image, head)
        if len(head) < 8 or magic not in _NEWEST_FIRST:
            raise ForeignTable(f"magic {head[:4].hex()}")
        return _table(image, section, magic)
    for magic in _NEWEST_FIRST:
        wanted = struct.pack(image.order + "IH", magic, 0)
        for span in image.loads:
            for address in search(image, span, wanted):
                table = _table(image, Span(address, span.end - address), magic)
                if table is not None:
                    return table
    return None


def names(image: Image, table: Table) -> Iterator[bytes]:
    """Yield the names of functions, some thousand at a time, each ended by a zero byte. Raises BadGo."""
    return _walk(image, table) if table.names is None else _stream(image, table.names)


def files(image: Image, table: Table) -> Iterator[bytes]:
    """As :func:`names`, of the source files; nothing in the old format, which no program needs it from."""
    return iter(()) if table.files is None else _stream(image, table.files)


def _magic(image: Image, head: bytes) -> int:
    return int.from_bytes(head[:4], "little" if image.order == "<" else "big")


def _table(image: Image, span: Span, magic: int) -> Table | None:
    """Return the table at the start of ``span`` if its header makes sense."""
    head = image.read(span.address, 8)
    if len(head) < 8 or head[4:6] != b"\0\0" or head[6] not in _QUANTA or head[7] not in _POINTERS:
        return None
    pointer = head[7]
    start = span.address
    if magic == _GO_1_2:
        return _old_table(image, span, pointer)
    skipped = 0 if magic == _GO_1_16 else 1  # the address of the text
    layout = f"{image.order}{7 + skipped}{'Q' if pointer == 8 else 'I'}"
    content = image.read(start + 8, struct.calcsize(layout))
    if len(content) < struct.calcsize(layout):
        return None
    fields = struct.unpack(layout, content)
    functions, (name_start, units, file_start, counters, lines) = fields[0], fields[2 + skipped :]
    ascending = 8 + len(content) <= name_start < units <= file_start < counters <= lines <= span.size
    if not ascending or not 0 < functions < _FUNCTIONS or units - name_start > _NAMES_BYTES:
        return None
    return Table(
        start,
        pointer,
        functions,
        Span(start + name_start, units - name_start),
        Span(start + file_start, counters - file_start),
    )


def _old_table(image: Image, span: Span, pointer: int) -> Table | None:
    try:
        functions = word(image, span.address + 8, pointer)
    except BadGo:
        return None
    if not 0 < functions < _FUNCTIONS or (2 * functions + 1) * pointer > span.size:
        return None
    table = Table(span.address, pointer, functions, None, None)
    try:
        first = next(_walk(image, table, 1), b"\0")
    except BadGo:
        return None
    return table if len(first) > 1 else None


def _stream(image: Image, span: Span) -> Iterator[bytes]:
    rest = b""
    for address in range(span.address, span.end, CHUNK):
        size = min(CHUNK, span.end - address)
        content = image.read(address, size)
        if len(content) < size:
            raise BadGo("the table of names is cut")
        whole, ended, after = content.rpartition(b"\0")
        if ended:
            yield rest + whole + ended
            rest = after
        else:
            rest += after
        if len(rest) > _NAME_BYTES:
            raise BadGo("a name that never ends")


def _walk(image: Image, table: Table, count: int | None = None) -> Iterator[bytes]:
    """The first ``count`` names, or all, of the format of Go 1.2: functab -> function -> name."""
    windows = _Windows(image, table.start)
    pair = struct.Struct(image.order + ("QQ" if table.pointer == 8 else "II"))
    offset = struct.Struct(image.order + "i")
    entries = table.start + 8 + table.pointer
    total = table.functions if count is None else count
    for done in range(0, total, _BATCH):
        size = min(_BATCH, total - done) * pair.size
        content = image.read(entries + done * pair.size, size)
        if len(content) < size:
            raise BadGo("the table of functions is cut")
        found: list[bytes] = []
        for _, function in pair.iter_unpack(content):
            place = windows.read(table.start + function + table.pointer, 4)
            if len(place) == 4:
                found.append(windows.name(table.start + offset.unpack(place)[0]))
        yield b"\0".join(found) + b"\0"


class _Windows:
    """Small reads, most of them near one another, from few large ones."""

    def __init__(self, image: Image, origin: int) -> None:
        self._image = image
        self._origin = origin
        self._windows: dict[int, bytes] = {}

    def read(self, address: int, size: int) -> bytes:
        start = address - (address - self._origin) % _WINDOW
        content = self._windows.get(start)
        if content is None:
            if len(self._windows) >= _WINDOWS:
                del self._windows[next(iter(self._windows))]
            # What begins here may end in the next one.
            content = self._windows[start] = self._image.read(start, _WINDOW + 1024)
        return content[address - start : address - start + size]

    def name(self, address: int) -> bytes:
        return self.read(address, 1024).partition(b"\0")[0]
