"""What a HotSpot publishes of itself in ``/tmp/hsperfdata_<user>/<pid>``: class path, class counters.

The file is the process's own memory (OpenJDK: ``runtime/perfMemory.hpp``, ``os/posix/perfMemory_posix.cpp``,
version 2 of the format since JDK 5). It is written while we read, so a number may be a moment old. It is
found by the process's own mappings: with several containers on one /tmp, two may have the same pid.
``-XX:-UsePerfData`` and ``-XX:+PerfDisableSharedMem`` do without it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sensor.node.backfill.processes import ProcessFile
from sensor.node.rootfs import RootFilesystem, Unreadable

SIZE_MAX = 1 << 20
"""Bytes of a file that are read; 32 KiB unless -XX:PerfDataMemorySize says otherwise."""

_PATH = re.compile(r"/hsperfdata_[^/]+/[0-9]+$")
_MAGIC = b"\xca\xfe\xc0\xc0"
_VERSION = 2
_ENTRY_BYTES = 20  # of PerfDataEntry, what precedes the name
_CUT = 1023
"""Bytes of text, beyond which the VM cuts it (PerfMaxStringConstLength, with the NUL)."""

_CLASS_PATH = "java.property.java.class.path"
_COMMAND = "sun.rt.javaCommand"
_COUNTERS = (
    "java.cls.loadedClasses",
    "java.cls.sharedLoadedClasses",
    "sun.cls.initializedClasses",
)


@dataclass(frozen=True, slots=True)
class PerfData:
    """``class_path`` is None where it is not told or was cut; ``command`` is main class or jar and arguments.

    ``counters``: classes loaded, loaded from an archive of shared classes, and initialised, since the start.
    """

    class_path: str | None
    command: str
    counters: tuple[int, ...]


def perf_data(mapped: Iterable[ProcessFile], root: RootFilesystem) -> PerfData | None:
    """Return what the process that maps ``mapped`` publishes, None if nothing that can be read."""
    for file in mapped:
        if _PATH.search(file) and not file.deleted:
            try:
                return parse(root.read(file, SIZE_MAX))
            except Unreadable:
                return None
    return None


def parse(content: bytes) -> PerfData | None:
    """Return what the bytes of a file tell, None if it is no such file or is not filled yet."""
    if len(content) < 32 or content[:4] != _MAGIC or content[5] != _VERSION or content[7] != 1:
        return None
    order = "<" if content[4] == 1 else ">"
    start, count = struct.unpack_from(order + "ii", content, 24)
    values = dict(_entries(content, order, start, count))
    class_path = values.get(_CLASS_PATH)
    command = values.get(_COMMAND)
    if not isinstance(class_path, str) or len(class_path.encode("utf-8", "surrogateescape")) >= _CUT:
        class_path = None
    counters = (values.get(name) for name in _COUNTERS)
    return PerfData(
        class_path,
        command if isinstance(command, str) else "",
        tuple(value for value in counters if isinstance(value, int)),
    )


def _entries(content: bytes, order: str, start: int, count: int) -> Iterator[tuple[str, int | str]]:
    """Yield names with numbers (``J``) and texts (a vector of ``B``); ends at what is out of bounds."""
    for _ in range(max(0, min(count, len(content) // _ENTRY_BYTES))):
        if not 0 <= start <= len(content) - _ENTRY_BYTES:
            return
        length, name_at, vector, kind, data_at = struct.unpack_from(order + "iiic3xi", content, start)
        if length < _ENTRY_BYTES or name_at < 0 or data_at < 0 or vector < 0:
            return
        end = content.find(b"\0", start + name_at, start + length)
        name = content[start + name_at : max(end, 0)].decode("latin-1")
        data = start + data_at
        if kind == b"J" and vector == 0 and data + 8 <= len(content):
            yield name, struct.unpack_from(order + "q", content, data)[0]
        elif kind == b"B" and vector > 0:
            text = content[data : data + vector].partition(b"\0")[0]
            yield name, text.decode("utf-8", "surrogateescape")
        start += length
