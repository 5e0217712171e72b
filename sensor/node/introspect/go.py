"""Which packages a Go process consists of: for programs that are packed, so that the file cannot tell.

A packer (UPX) leaves a stub that unpacks the program to the addresses it was linked for, in anonymous
memory or a memfd. The program's own header, build information and table of functions stand there as
they stood in its file, and are read by the same parsers (:mod:`sensor.node.resolve.go`).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

from sensor.model.package import Evidence
from sensor.node.backfill.mappings import Mapping
from sensor.node.backfill.memory import BadAddress, LimitReached, ProcessGone, ProcessMemory, ReadLimits
from sensor.node.introspect.interface import Finding, Subject
from sensor.node.resolve.elf_layout import PT_LOAD, Layout, NotElf
from sensor.node.resolve.go.image import NotGo, Span, Unusable, spans
from sensor.node.resolve.go.program import Program, read_program
from sensor.node.resolve.go.resolver import uses
from sensor.node.resolve.lru import LruCache
from sensor.node.rootfs import RootFilesystem

UNREADABLE = "go_unreadable"
"""Coverage reason: a Go program is there, or is to be unpacked there, and could not be read."""

_LIMITS = ReadLimits(size=256 << 20, seconds=2.0)
_ANONYMOUS = 64  # mappings looked at for a header; the stub unpacks before anything else is mapped
_SETTLED = 4096
_PACKED = b"UPX!"
_HEAD = 4096
_PAGE = 4096
_DELETED = " (deleted)"


class GoProbe:
    """See :class:`sensor.node.introspect.interface.Probe`. ``proc`` is where /proc is."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._settled: LruCache[tuple[int, int], bool] = LruCache(_SETTLED)

    @property
    def name(self) -> str:
        return "go"

    def stamp(self, subject: Subject, root: RootFilesystem) -> object | None:
        """A Go program does not load more of itself: told once, told for good, until another is executed."""
        if not self._settled.get((subject.pid, subject.start_boottime)):
            return None
        try:
            return os.readlink(f"{self._proc}/{subject.pid}/exe")
        except OSError:
            return None

    def look(self, subject: Subject, root: RootFilesystem, files: Collection[str]) -> Finding | None:
        try:
            with ProcessMemory(subject.pid, _LIMITS, self._proc) as memory:
                if not memory.started_at(subject.start_boottime):
                    return None
                finding = _look(memory)
                memory.verify()
        except (ProcessGone, OSError):
            return None
        if finding is not None and not finding.problem:
            self._settled.put((subject.pid, subject.start_boottime), True)
        return finding

    def sweep(self) -> None:
        self._settled.sweep()


class _MemoryImage:
    """A loaded program whose header is mapped at ``base``: see :class:`sensor.node.resolve.go.image.Image`.

    Raises NotElf. LimitReached and ProcessGone come from every read.
    """

    def __init__(self, memory: ProcessMemory, base: int) -> None:
        self._memory = memory
        layout = Layout(lambda offset, size: self._at(base + offset, size))
        loads = [segment for segment in layout.segments if segment.kind == PT_LOAD and segment.size]
        if not loads:
            raise NotElf("nothing to load")
        self._bias = base - (loads[0].address - loads[0].offset)
        self.order = layout.order
        self.loads, self.data = spans(loads)

    def section(self, *names: bytes) -> Span | None:
        return None  # section headers are not loaded

    def read(self, address: int, size: int) -> bytes:
        return self._at(self._bias + address, size)

    def _at(self, address: int, size: int) -> bytes:
        """What can be read from ``address`` on, page by page if not at once."""
        try:
            return self._memory.read(address, size)
        except BadAddress:
            pages: list[bytes] = []
            end = address + size
            while address < end:
                step = min(_PAGE - address % _PAGE, end - address)
                try:
                    pages.append(self._memory.read(address, step))
                except BadAddress:
                    break
                address += step
            return b"".join(pages)


def _look(memory: ProcessMemory) -> Finding | None:
    path = memory.program_path()
    packed = False
    try:
        for base in _bases(memory.mappings, path):
            packed = packed or _is_packed(memory, base)
            program = _program(memory, base)
            if program is not None:
                return Finding(tuple(uses(program, Evidence.EXECUTED, path.removesuffix(_DELETED))))
    except Unusable as error:
        return Finding((), f"skipped_{error.reason}")
    except LimitReached:
        return Finding((), UNREADABLE) if packed else None
    return Finding((), UNREADABLE) if packed else None


def _bases(mappings: Collection[Mapping], program: str) -> Iterator[int]:
    """Where the header of the program may be: its own first mapping, then anonymous memory and memfds."""
    own = next(
        (mapping.start for mapping in mappings if mapping.path == program and not mapping.offset), None
    )
    if own is not None:
        yield own
    others = (
        mapping.start
        for mapping in mappings
        if mapping.start != own and mapping.permissions[:1] == "r" and _unpacked(mapping)
    )
    for _, base in zip(range(_ANONYMOUS), others, strict=False):
        yield base


def _unpacked(mapping: Mapping) -> bool:
    return not mapping.inode or mapping.path.startswith("/memfd:") or mapping.path.endswith(_DELETED)


def _program(memory: ProcessMemory, base: int) -> Program | None:
    try:
        if memory.read(base, 4) != b"\x7fELF":
            return None
        return read_program(_MemoryImage(memory, base))
    except (BadAddress, NotElf, NotGo):
        return None


def _is_packed(memory: ProcessMemory, base: int) -> bool:
    try:
        return _PACKED in memory.read(base, _HEAD)
    except BadAddress:
        return False
