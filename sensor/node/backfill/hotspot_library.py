"""Finds libjvm.so in a process, and what it publishes of itself there when that is in no file."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sensor.node.backfill.elf import Image, NotElf
from sensor.node.backfill.hotspot_structs import Blocks, NotDescribed, Structs
from sensor.node.backfill.hsperf import SIZE_MAX, PerfData, parse
from sensor.node.backfill.mappings import program_images
from sensor.node.backfill.memory import BadAddress, LimitReached, ProcessGone, ProcessMemory, ReadLimits

Symbols = Callable[[str], int | None]
"""The address of an exported variable, None if there is no such."""

LIBRARY = "libjvm.so"

_DELETED = " (deleted)"
_LIMITS = ReadLimits(size=8 << 20, seconds=0.5)
_HEADER = 32


def libraries(memory: ProcessMemory) -> Iterator[Symbols]:
    """Yield the symbols of each ``libjvm.so``; of none, if it is no ELF file. Raises what a read raises."""
    for mapping in program_images(memory.mappings):
        if mapping.path.removesuffix(_DELETED).rpartition("/")[2] == LIBRARY:
            try:
                yield _symbols(Image(memory, mapping.start))
            except (NotElf, BadAddress):
                yield _none


def perf_data_in_memory(pid: int, start_boottime: int, proc: str = "/proc") -> PerfData | None:
    """Return what a HotSpot publishes in memory of its own, None if it is in a file or nowhere.

    So it is for a user without a name, as most containers have with ``runAsUser``, and with
    -XX:+PerfDisableSharedMem (OpenJDK: ``os/posix/perfMemory_posix.cpp``). Never raises.
    """
    try:
        with ProcessMemory(pid, _LIMITS, proc) as memory:
            if not memory.started_at(start_boottime):
                return None
            for symbols in libraries(memory):
                structs = Structs(Blocks(memory), symbols, ("PerfMemory",))
                return _read(memory, memory.word(structs.field("PerfMemory", "_start")))
    except (BadAddress, NotDescribed, LimitReached, ProcessGone, OSError):
        pass
    return None


def _read(memory: ProcessMemory, start: int) -> PerfData | None:
    header = memory.read(start, _HEADER)
    used = int.from_bytes(header[8:12], "little")  # PerfDataPrologue::used
    return parse(memory.read(start, used)) if _HEADER <= used <= SIZE_MAX else None


def _symbols(image: Image) -> Symbols:
    def address(name: str) -> int | None:
        symbol = image.lookup(name)
        return None if symbol is None else symbol.address

    return address


def _none(_name: str) -> int | None:
    return None
