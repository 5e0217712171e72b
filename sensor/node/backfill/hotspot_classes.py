"""The VM's own lists of its classes.

From JDK 9 on each class loader has a ``ClassLoaderData`` with a list of all that it defined; these
again form a list, ``ClassLoaderDataGraph::_head`` (OpenJDK: ``classfile/classLoaderDataGraph.cpp``).
New ones are put at the head of either, without a lock for readers. What an unloading takes out leads
elsewhere when followed, so that two things are checked: every class names the loader in whose list it
stands, and the list of loaders ends in the boot loader's, the first to be created.
JDK 8 does not describe these lists: see :mod:`sensor.node.backfill.hotspot_dictionary`.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise, repeat
from typing import Protocol

from sensor.node.backfill.hotspot_structs import Blocks, NotDescribed, Readable, Structs
from sensor.node.backfill.memory import BadAddress

CLASSES_MAX = 200_000
"""Classes listed of one process, arrays included; the largest applications have about 100,000."""

LOADERS_MAX = 100_000
"""Class loaders; before JDK 15 each lambda has one of its own."""

TYPES = (
    "ClassLoaderData",
    "ClassLoaderDataGraph",
    "Klass",
    "InstanceKlass",
    "Symbol",
    # JDK 8:
    "SystemDictionary",
    "BasicHashtable<mtInternal>",
    "BasicHashtableEntry<mtInternal>",
    "IntptrHashtableEntry",
    "DictionaryEntry",
)
"""What :class:`~sensor.node.backfill.hotspot_structs.Structs` has to be read for."""

_SORTED_AT_ONCE = 20_000  # about 5 ms, during which no other thread of ours runs
_WORD = struct.Struct("<Q")
_LENGTH = struct.Struct("<H")


class TooMany(Exception):
    """A bound on classes or loaders was reached."""


@dataclass(slots=True)
class Listing:
    """Classes in the VM's order, column by column: addresses are numbers that repeat, not objects."""

    classes: array[int] = field(default_factory=lambda: array("Q"))
    names: array[int] = field(default_factory=lambda: array("Q"))
    loaders: array[int] = field(default_factory=lambda: array("Q"))
    states: bytearray = field(default_factory=bytearray)
    whole: bool = True
    """No list broke off."""
    last_loader: int = 0
    """Where the list of loaders ended; 0 where there is no such list."""

    def room(self) -> int:
        """How many more classes may be listed, and one."""
        return CLASSES_MAX - len(self.classes) + 1

    def adders(self) -> tuple[Callable[[int], None], Callable[[int], None], Callable[[int], None]]:
        """Return what adds a class, its name and its state; then call :meth:`loaded_by`."""
        return self.classes.append, self.names.append, self.states.append

    def loaded_by(self, loader: int) -> None:
        """All classes added since the last call are of this loader."""
        self.loaders.extend(repeat(loader, len(self.classes) - len(self.loaders)))

    def same_classes(self, other: Listing) -> bool:
        """Whether both list the same classes under the same names, whatever their states."""
        return (self.classes, self.names, self.loaders) == (other.classes, other.names, other.loaders)


class Classes(Protocol):
    """Either way to list classes."""

    def listing(self) -> Listing:
        """Return what is listed now. Raises TooMany, LimitReached and ProcessGone."""
        ...


class Fields:
    """Some fields of a structure, read at once."""

    def __init__(self, **fields: tuple[int, str]) -> None:
        """``fields``: name to offset and format of :mod:`struct`. Raises NotDescribed if they overlap."""
        order = sorted(fields.items(), key=lambda item: item[1][0])
        self.start = order[0][1][0]
        layout, at = "<", self.start
        for _, (offset, kind) in order:
            if not 0 <= offset - at <= 4096:
                raise NotDescribed(f"fields at {at} and {offset}")
            layout += f"{offset - at}x{kind}"
            at = offset + struct.calcsize("<" + kind)
        self.struct = struct.Struct(layout)
        self.size = self.struct.size
        self.index = {name: number for number, (name, _) in enumerate(order)}


class LoaderGraph:
    """JDK 9 and later. Raises NotDescribed."""

    def __init__(self, memory: Readable, structs: Structs) -> None:
        self._blocks = Blocks(memory)
        self._head = structs.field("ClassLoaderDataGraph", "_head")
        self._next_loader = structs.field("ClassLoaderData", "_next")
        self._first_class = structs.field("ClassLoaderData", "_klasses")
        common = {
            "shape": (structs.field("Klass", "_layout_helper"), "i"),
            "name": (structs.field("Klass", "_name"), "Q"),
            "next": (structs.field("Klass", "_next_link"), "Q"),
            "loader": (structs.field("Klass", "_class_loader_data"), "Q"),
        }
        self._array = Fields(**common)
        self._class = Fields(**common, state=(structs.field("InstanceKlass", "_init_state"), "B"))

    def listing(self) -> Listing:
        """See :meth:`Classes.listing`."""
        self._blocks.forget()
        listing = Listing()
        seen: set[int] = set()
        try:
            loader = self._blocks.word(self._head)
            while loader:
                if len(seen) >= LOADERS_MAX:
                    raise TooMany("loaders")
                if loader in seen:
                    listing.whole = False
                    break
                seen.add(loader)
                # Before its classes are read, which takes time, in which it may be unloaded.
                following = self._blocks.word(loader + self._next_loader)
                self._append(listing, loader, self._blocks.word(loader + self._first_class))
                listing.last_loader = loader
                loader = following
        except BadAddress:
            listing.whole = False
        return listing

    def _append(self, listing: Listing, loader: int, klass: int) -> None:
        unpack, start, size = self._class.struct.unpack_from, self._class.start, self._class.size
        at = self._class.index
        shape_at, name_at, next_at, loader_at = at["shape"], at["name"], at["next"], at["loader"]
        state_at, locate = at["state"], self._blocks.locate
        add_class, add_name, add_state = listing.adders()
        for _ in range(listing.room()):
            if not klass:
                break
            try:
                content, position = locate(klass + start, size)
            except BadAddress:
                klass = self._array_before_a_gap(listing, loader, klass)
                continue
            fields = unpack(content, position)
            if fields[loader_at] != loader:
                listing.whole = False
                break
            # OpenJDK, oops/klass.hpp: negative for arrays, 0 while it is being made
            if fields[shape_at] > 0 and fields[name_at]:
                add_class(klass)
                add_name(fields[name_at])
                add_state(fields[state_at])
            klass = fields[next_at]
        else:
            raise TooMany("classes")
        listing.loaded_by(loader)

    def _array_before_a_gap(self, listing: Listing, loader: int, klass: int) -> int:
        """An array's structure is shorter: it may stand at the very end of what can be read."""
        fields = self._array
        try:
            content, position = self._blocks.locate(klass + fields.start, fields.size)
        except BadAddress:
            listing.whole = False
            return 0
        values = fields.struct.unpack_from(content, position)
        if values[fields.index["loader"]] != loader or values[fields.index["shape"]] > 0:
            listing.whole = False
            return 0
        return int(values[fields.index["next"]])


class Names:
    """Reads ``Symbol``: a length and as many bytes of modified UTF-8 (JVMS 4.4.7). Raises NotDescribed."""

    def __init__(self, memory: Readable, structs: Structs) -> None:
        self._memory = memory
        self._blocks = Blocks(memory)
        self._length = structs.field("Symbol", "_length")
        self._body = structs.field("Symbol", "_body", "_body[0]")
        if max(self._length, self._body) > 64:
            raise NotDescribed("Symbol")

    def of(self, addresses: array[int]) -> list[str]:
        """Return the names at ``addresses``, '' for what cannot be read. Raises LimitReached, ProcessGone."""
        self._blocks.forget()
        names = [""] * len(addresses)
        bounds = [*range(0, len(addresses), _SORTED_AT_ONCE), len(addresses)]
        for start, end in pairwise(bounds):
            # In the order of their addresses each block is read once; those of one name are neighbours.
            known, name = 0, ""
            for index in sorted(range(start, end), key=addresses.__getitem__):
                if addresses[index] != known:
                    known = addresses[index]
                    name = self._read(known)
                names[index] = name
        return names

    def _read(self, address: int) -> str:
        try:
            content, at = self._blocks.locate(address, max(self._length + 2, self._body))
            (length,) = _LENGTH.unpack_from(content, at + self._length)
            body = at + self._body
            text = content[body : body + length]
            if len(text) < length:
                text = self._memory.read(address + self._body, length)
        except BadAddress:
            return ""
        return text.decode("utf-8", "replace")
