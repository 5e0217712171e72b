"""The memory of a small made-up VM: its tables, loaders, classes and names, in a flat piece of bytes.

For what no JVM here can show: the layout of JDK 8, and lists that lead in circles or nowhere.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from sensor.node.backfill.hotspot import Problem, Reading, read_classes
from sensor.node.backfill.memory import BadAddress, LimitReached

BASE = 0x7F0000000000
OF_STRUCTS = (
    "TypeNameOffset",
    "FieldNameOffset",
    "IsStaticOffset",
    "OffsetOffset",
    "AddressOffset",
    "ArrayStride",
)
VARIABLES = (
    "gHotSpotVMStructs",
    *(f"gHotSpotVMStructEntry{name}" for name in OF_STRUCTS),
    "gHotSpotVMIntConstants",
    *(f"gHotSpotVMIntConstantEntry{name}" for name in ("NameOffset", "ValueOffset", "ArrayStride")),
)
"""In this order they stand at the start of the memory, a word each."""

STATES = ("allocated", "loaded", "linked", "being_initialized", "fully_initialized", "initialization_error")
COMMON = {
    ("Klass", "_layout_helper"): 8,
    ("Klass", "_name"): 24,
    ("InstanceKlass", "_init_state"): 200,
    ("Symbol", "_length"): 0,
    ("Symbol", "_body"): 6,
}
LATER = {
    **COMMON,
    ("ClassLoaderData", "_next"): 16,
    ("ClassLoaderData", "_klasses"): 24,
    ("Klass", "_next_link"): 40,
    ("Klass", "_class_loader_data"): 48,
}
JDK_8 = {
    **COMMON,
    ("Klass", "_next_sibling"): 64,
    ("BasicHashtable<mtInternal>", "_table_size"): 0,
    ("BasicHashtable<mtInternal>", "_buckets"): 8,
    ("BasicHashtableEntry<mtInternal>", "_next"): 8,
    ("IntptrHashtableEntry", "_literal"): 16,
    ("DictionaryEntry", "_loader_data"): 32,
}


class FlatMemory:
    """Bytes at :data:`BASE`, read as another process's memory is; ``reads`` are bounded."""

    def __init__(self, content: bytes, reads: int = 100_000) -> None:
        self._content = content
        self._reads = reads

    def read(self, address: int, size: int) -> bytes:
        self._reads -= 1
        if self._reads < 0:
            raise LimitReached(0)
        start = address - BASE
        if start < 0 or size <= 0 or start + size > len(self._content):
            raise BadAddress(hex(address))
        return self._content[start : start + size]

    def around(self, address: int, size: int) -> tuple[int, bytes]:
        start = max(address & -size, BASE)
        end = min((address & -size) + size, BASE + len(self._content))
        if not start <= address < end:
            raise BadAddress(hex(address))
        return start, self.read(start, end - start)


def scan(content: bytes) -> tuple[Reading, Problem]:
    """Read the classes of a VM whose memory is ``content``."""
    addresses = {name: BASE + 8 * number for number, name in enumerate(VARIABLES)}
    reading = Reading()
    try:
        return reading, read_classes(reading, FlatMemory(content), addresses.get, lambda _seconds: None)
    except LimitReached:
        return reading, Problem.DEADLINE


class Image:
    """Takes room for structures, and fills their fields by name."""

    def __init__(self, fields: Mapping[tuple[str, str], int], statics: Sequence[tuple[str, str]]) -> None:
        self.content = bytearray(8 * len(VARIABLES))
        self._fields = fields
        self._strings: dict[str, int] = {}
        self.statics = {static: self.take(8) for static in statics}
        self._tables()

    def take(self, size: int) -> int:
        """Return the address of new room."""
        address = BASE + len(self.content)
        self.content += bytes((size + 7) // 8 * 8)
        return address

    def put(self, address: int, layout: str, *values: int) -> None:
        struct.pack_into("<" + layout, self.content, address - BASE, *values)

    def set(self, address: int, kind: str, field: str, value: int, layout: str = "Q") -> None:
        self.put(address + self._fields[kind, field], layout, value)

    def symbol(self, name: str) -> int:
        text = name.encode()
        address = self.take(6 + len(text))
        self.put(address, f"H4x{len(text)}s", len(text), text)  # type: ignore[arg-type]
        return address

    def klass(self, name: str, state: int, shape: int = 16) -> int:
        address = self.take(208)
        self.set(address, "Klass", "_layout_helper", shape, "i")
        self.set(address, "Klass", "_name", self.symbol(name))
        self.set(address, "InstanceKlass", "_init_state", state, "B")
        return address

    def _text(self, text: str) -> int:
        if text not in self._strings:
            self._strings[text] = self.take(len(text) + 1)
            start = self._strings[text] - BASE
            self.content[start : start + len(text)] = text.encode()
        return self._strings[text]

    def _tables(self) -> None:
        rows = [(kind, name, 0, offset, 0) for (kind, name), offset in self._fields.items()]
        rows += [(kind, name, 1, 0, address) for (kind, name), address in self.statics.items()]
        names = [(self._text(kind), self._text(name)) for kind, name, *_ in rows]
        table = self.take(48 * (len(rows) + 1))
        for number, ((_, _, static, offset, address), (kind_at, name_at)) in enumerate(
            zip(rows, names, strict=True)
        ):
            self.put(table + 48 * number, "QQQiiQQ", kind_at, name_at, 0, static, 0, offset, address)
        texts = [self._text(f"InstanceKlass::{state}") for state in STATES]
        constants = self.take(16 * (len(texts) + 1))
        for number, text in enumerate(texts):
            self.put(constants + 16 * number, "Qi", text, number)
        values = (table, 0, 8, 24, 32, 40, 48, constants, 0, 8, 16)
        self.put(BASE, f"{len(VARIABLES)}Q", *values)


def later(loaders: Sequence[Sequence[tuple[str, int]]]) -> tuple[Image, list[int], list[list[int]]]:
    """Return a VM of JDK 9 or later with classes and states per loader, newest first, and where these are."""
    head = ("ClassLoaderDataGraph", "_head")
    image = Image(LATER, [head])
    places = [image.take(32) for _ in loaders]
    klasses = [[image.klass(name, state) for name, state in classes] for classes in loaders]
    image.put(image.statics[head], "Q", places[0])
    for number, loader in enumerate(places):
        following = places[number + 1] if number + 1 < len(places) else 0
        image.set(loader, "ClassLoaderData", "_next", following)
        image.set(loader, "ClassLoaderData", "_klasses", klasses[number][0] if klasses[number] else 0)
        for klass, after in zip(klasses[number], [*klasses[number][1:], 0], strict=False):
            image.set(klass, "Klass", "_class_loader_data", loader)
            image.set(klass, "Klass", "_next_link", after)
    return image, places, klasses


def jdk_8(classes: Sequence[tuple[str, int, int, Sequence[int]]], buckets: int = 3) -> Image:
    """Return a VM of JDK 8 with ``(name, state, defining loader, loaders asked)``."""
    at = ("SystemDictionary", "_dictionary")
    image = Image(JDK_8, [at])
    dictionary, table = image.take(16), image.take(8 * buckets)
    image.put(image.statics[at], "Q", dictionary)
    image.put(dictionary, "QQ", buckets, table)
    heads = [0] * buckets
    for number, (name, state, defined_by, asked) in enumerate(classes):
        klass = image.klass(name, state)
        image.put(klass + JDK_8["Klass", "_next_sibling"] + 16, "Q", defined_by)
        for loader in asked:
            entry = image.take(48)
            image.set(entry, "BasicHashtableEntry<mtInternal>", "_next", heads[number % buckets] | number % 2)
            image.set(entry, "IntptrHashtableEntry", "_literal", klass)
            image.set(entry, "DictionaryEntry", "_loader_data", loader)
            heads[number % buckets] = entry
    image.put(table, f"{buckets}Q", *heads)
    return image
