"""Which assemblies of a single-file program are in use: those that are mapped from the program's file.

The host maps the whole bundle while it looks for deps.json, and lets go of it. Each assembly that the
runtime loads and that is not compressed is then mapped from its place in the bundle, whole or section by
section (dotnet/runtime, src/coreclr/vm/peimagelayout.cpp: LoadedImageLayout, FlatImageLayout, with
PEImage::GetOffset; src/coreclr/pal/src/map/map.cpp: MAPMapPEFile). A compressed one is expanded into
anonymous memory, which tells nothing: it stays ``bundled``, and the container's coverage partial.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence

from sensor.model.package import Evidence, PackageUse
from sensor.node.backfill.mappings import Mapping, parse_mappings
from sensor.node.introspect.interface import Finding, Subject
from sensor.node.resolve.dotnet.bundle import Entry
from sensor.node.resolve.dotnet.single_file import Contents, SingleFiles
from sensor.node.resolve.dotnet.window import BadImage
from sensor.node.resolve.running import executable_path, is_alive
from sensor.node.rootfs import RootFilesystem, Unreadable

COMPRESSED = "compressed_bundle"
"""Coverage reason: assemblies of a single-file program are compressed, so that their use leaves no trace."""

_MAPS_BYTES = 16 << 20
_PAGE = os.sysconf("SC_PAGE_SIZE")
_ASSEMBLY = (".dll", ".exe")


class DotnetProbe:
    """See :class:`sensor.node.introspect.interface.Probe`."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self.single_files = SingleFiles()

    @property
    def name(self) -> str:
        return "dotnet"

    def sweep(self) -> None:
        self.single_files.sweep()

    def stamp(self, subject: Subject, root: RootFilesystem) -> object | None:
        """The places of the program's file that are mapped: another one for each assembly loaded."""
        path = executable_path(self._proc, subject.pid, subject.start_boottime)
        mapped = self._mapped(subject, path) if path is not None else None
        return (
            None if mapped is None else hash(tuple((each.offset, each.end - each.start) for each in mapped))
        )

    def look(self, subject: Subject, root: RootFilesystem, files: Collection[str]) -> Finding | None:
        path = executable_path(self._proc, subject.pid, subject.start_boottime)
        if path is None:
            return None
        try:
            contents = self.single_files.contents(root, path)
        except (Unreadable, BadImage, OSError):
            return None  # the resolver has said so
        mapped = self._mapped(subject, path) if contents is not None else None
        if contents is None or mapped is None:
            return None
        used = set(entries_mapped(contents.entries, mapped))
        uses = dict.fromkeys(
            PackageUse(part.package, Evidence.MAPPED, path) for part in contents.parts if part.entry in used
        )
        return Finding(tuple(uses), COMPRESSED if _unseen(contents) else "")

    def _mapped(self, subject: Subject, path: str) -> list[Mapping] | None:
        """The mappings of the program's own file, None when the process is gone."""
        try:
            with open(f"{self._proc}/{subject.pid}/maps", "rb") as file:
                content = file.read(_MAPS_BYTES)
        except OSError:
            return None
        if not is_alive(self._proc, subject.pid, subject.start_boottime):
            return None
        return [each for each in parse_mappings(content) if each.path == path]


def entries_mapped(entries: Sequence[Entry], mappings: Iterable[Mapping]) -> Iterator[Entry]:
    """Yield the entries that a mapping lies in, counted in whole pages. ``entries`` in the file's order.

    Neighbours may share a page, and a mapping that fits both speaks for neither.
    """
    starts = [entry.offset // _PAGE * _PAGE for entry in entries]
    for mapping in mappings:
        end = mapping.offset + mapping.end - mapping.start
        # Back from the last one that starts before it; only the first page may be another's as well.
        found: list[Entry] = []
        for index in range(bisect_right(starts, mapping.offset) - 1, -1, -1):
            entry = entries[index]
            if end <= -(-(entry.offset + entry.stored) // _PAGE) * _PAGE:
                found.append(entry)
            if starts[index] < mapping.offset or len(found) > 1:
                break
        if len(found) == 1 and not found[0].packed:
            yield found[0]


def _unseen(contents: Contents) -> bool:
    return any(part.entry.packed and part.entry.path.lower().endswith(_ASSEMBLY) for part in contents.parts)
