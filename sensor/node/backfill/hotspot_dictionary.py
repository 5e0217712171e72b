"""The classes of JDK 8, which does not describe the lists of later versions.

They are taken from ``SystemDictionary::_dictionary``, a hash table with an entry for each class and
each loader that was asked for it (OpenJDK 8: ``classfile/dictionary.hpp``, ``utilities/hashtable.hpp``).
VM-anonymous classes, as lambdas have, are not in it.
"""

from __future__ import annotations

import struct

from sensor.node.backfill.hotspot_classes import CLASSES_MAX, Fields, Listing, TooMany
from sensor.node.backfill.hotspot_structs import Blocks, Readable, Structs
from sensor.node.backfill.memory import BadAddress

_ENTRIES = 2 * CLASSES_MAX
_BUCKETS = 1 << 17  # JDK 8 has 20,011, or what -XX:PredictedLoadedClassCount asks for


class SystemDictionary:
    """JDK 8. Raises NotDescribed."""

    def __init__(self, memory: Readable, structs: Structs) -> None:
        self._memory = memory
        self._blocks = Blocks(memory)
        self._steps = 0
        self._dictionary = structs.field("SystemDictionary", "_dictionary")
        self._size = structs.field("BasicHashtable<mtInternal>", "_table_size")
        self._buckets = structs.field("BasicHashtable<mtInternal>", "_buckets")
        self._entry = Fields(
            next=(structs.field("BasicHashtableEntry<mtInternal>", "_next"), "Q"),
            klass=(structs.field("IntptrHashtableEntry", "_literal"), "Q"),
            loader=(structs.field("DictionaryEntry", "_loader_data"), "Q"),
        )
        self._class = Fields(
            shape=(structs.field("Klass", "_layout_helper"), "i"),
            name=(structs.field("Klass", "_name"), "Q"),
            # Not described itself, but always two words on (JDK 8: oops/klass.hpp); proven at each class.
            loader=(structs.field("Klass", "_next_sibling") + 16, "Q"),
            state=(structs.field("InstanceKlass", "_init_state"), "B"),
        )

    def listing(self) -> Listing:
        """See :meth:`Classes.listing`."""
        self._blocks.forget()
        listing = Listing()
        asked: dict[int, set[int]] = {}
        self._steps = 0
        try:
            for bucket in self._heads():
                self._follow(listing, bucket, asked)
        except BadAddress:
            listing.whole = False
        if len(asked) > CLASSES_MAX:
            raise TooMany("classes")
        for klass, loaders in asked.items():
            self._append(listing, klass, loaders)
        return listing

    def _heads(self) -> tuple[int, ...]:
        dictionary = self._blocks.word(self._dictionary)
        count = self._blocks.word(dictionary + self._size) & 0xFFFFFFFF
        if not 0 < count <= _BUCKETS:
            raise BadAddress(f"a dictionary of {count} buckets")
        buckets = self._blocks.word(dictionary + self._buckets)
        return struct.unpack(f"<{count}Q", self._memory.read(buckets, count * 8))

    def _follow(self, listing: Listing, entry: int, asked: dict[int, set[int]]) -> None:
        fields, at = self._entry, self._entry.index
        while entry:
            self._steps += 1
            if self._steps > _ENTRIES:
                raise TooMany("entries")
            try:
                content, position = self._blocks.locate(entry + fields.start, fields.size)
            except BadAddress:
                listing.whole = False
                return
            values = fields.struct.unpack_from(content, position)
            asked.setdefault(values[at["klass"]], set()).add(values[at["loader"]])
            entry = values[at["next"]] & ~1  # the low bit marks entries of shared memory

    def _append(self, listing: Listing, klass: int, loaders: set[int]) -> None:
        fields, at = self._class, self._class.index
        try:
            content, position = self._blocks.locate(klass + fields.start, fields.size)
        except BadAddress:
            listing.whole = False
            return
        values = fields.struct.unpack_from(content, position)
        if values[at["shape"]] > 0 and values[at["name"]]:
            defined_by = values[at["loader"]]
            loader = defined_by if defined_by in loaders else min(loaders)
            listing.classes.append(klass)
            listing.names.append(values[at["name"]])
            listing.states.append(values[at["state"]])
            listing.loaded_by(loader)
