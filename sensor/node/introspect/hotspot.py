"""Asks a HotSpot which classes it has, and finds the packages that they came from.

A jar is opened because it is on the class path; whether anything in it is used, only its classes tell. An
archive with an initialised class is ``executed``. One whose classes were loaded but not initialised is
``opened``: they were looked at, by a framework that scans for annotations, or as a type in a signature.
One whose shared library was unpacked and is mapped is ``mapped``: Netty's natives come in jars without a
class. What was shaded into an archive stays ``bundled``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from sensor.model.package import Evidence, PackageUse, Skipped
from sensor.node.backfill.hotspot import ClassScan, ClassState, Problem, loaded_classes
from sensor.node.backfill.hotspot_library import LIBRARY, perf_data_in_memory
from sensor.node.backfill.hsperf import PerfData, perf_data
from sensor.node.backfill.processes import ProcessFile, ProcessTable
from sensor.node.introspect.hotspot_archives import Candidates, Launched, candidates, files_in_order
from sensor.node.introspect.hotspot_join import classes_of_the_application, join
from sensor.node.introspect.interface import ENDED_UNASKED, Finding, Subject
from sensor.node.resolve.java.origins import Origin, Origins
from sensor.node.rootfs import RootFilesystem

CLASS_GRAPH_UNREADABLE = "class_graph_unreadable"
"""Coverage reason: not all classes of a JVM could be read."""
CLASS_GRAPH_UNSUPPORTED = "class_graph_unsupported"
"""Coverage reason: a JVM that is no HotSpot (OpenJ9), or one whose description of itself was taken out."""
ARCHIVE_UNREADABLE = "archive_unreadable"
"""Coverage reason: a JVM has classes, and not all archives they may come from could be read."""


_SYSTEM_FOLDERS = ("/usr/", "/lib/", "/lib64/")


class HotspotProbe:
    """See :class:`sensor.node.introspect.interface.Probe`."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._table = ProcessTable(proc)
        self._origins = Origins()

    @property
    def name(self) -> str:
        return "hotspot"

    def stamp(self, subject: Subject, root: RootFilesystem) -> object | None:
        published = self._published(subject, root, self._table.mapped_files(subject.pid))
        return published.counters or None if published is not None else None

    def look(self, subject: Subject, root: RootFilesystem, files: Collection[str]) -> Finding | None:
        mapped = self._table.mapped_files(subject.pid)
        if not _is_jvm(mapped):
            return None
        launched = Launched(subject.pid, root, self._published(subject, root, mapped), self._proc)
        opened = self._table.open_files(subject.pid)
        scan = loaded_classes(subject.pid, subject.start_boottime, proc=self._proc)
        if scan.problem == Problem.NOT_HOTSPOT:
            return None
        if scan.problem == Problem.VANISHED:
            return Finding((), ENDED_UNASKED)
        if scan.problem == Problem.SYMBOLS_NOT_FOUND:
            return Finding((), CLASS_GRAPH_UNSUPPORTED)
        used = files_in_order(files, opened, mapped)
        archives = candidates(launched, root, used, self._origins)
        return self._finding(scan, root, archives, _unpacked(mapped))

    def sweep(self) -> None:
        self._origins.sweep()

    def _published(
        self, subject: Subject, root: RootFilesystem, mapped: Collection[ProcessFile]
    ) -> PerfData | None:
        published = perf_data(mapped, root)
        if published is None and _is_jvm(mapped):
            published = perf_data_in_memory(subject.pid, subject.start_boottime, self._proc)
        return published

    def _finding(
        self, scan: ClassScan, root: RootFilesystem, archives: Candidates, unpacked: Collection[str]
    ) -> Finding:
        problem = "" if scan.whole else CLASS_GRAPH_UNREADABLE
        classes = classes_of_the_application(scan)
        wanted = {loaded.name for loaded in classes}
        origins: list[Origin] = []
        for path in archives.paths if wanted else ():
            found = self._origins.find(root, path, wanted)
            if isinstance(found, Skipped):
                archives.unreadable |= found.reason.loses_facts
            else:
                origins.extend(found)
        if wanted and archives.unreadable:
            problem = problem or ARCHIVE_UNREADABLE
        uses: dict[PackageUse, None] = {}
        for origin in origins:
            if origin.own is not None and _is_mapped(origin, unpacked):
                uses[replace(origin.own, evidence=Evidence.MAPPED)] = None
        for origin, state in join(classes, origins, archives.class_path):
            uses.update(dict.fromkeys(_uses(origin, state)))
        return Finding(tuple(uses), problem)


def _is_jvm(mapped: Collection[ProcessFile]) -> bool:
    return any(file.endswith(f"/{LIBRARY}") for file in mapped)


def _unpacked(mapped: Collection[ProcessFile]) -> list[str]:
    """The file names of mapped libraries that no distribution's package put where they are."""
    library = next((file for file in mapped if file.endswith(f"/{LIBRARY}")), "")
    of_the_jdk = library[: library.rfind("/lib/") + 5] if library else "\0"
    elsewhere = (*_SYSTEM_FOLDERS, of_the_jdk)
    return [file.rpartition("/")[2] for file in mapped if ".so" in file and not file.startswith(elsewhere)]


def _is_mapped(origin: Origin, unpacked: Collection[str]) -> bool:
    """Whether a library of the archive is mapped, under the name with something random that it was given:
    libnetty_tcnative_linux_x86_648161.so, snappy-1.1.10-9ab1-libsnappyjava.so.
    """
    return any(
        name.startswith(native) or f"-{native}" in name for native in origin.natives for name in unpacked
    )


def _uses(origin: Origin, state: ClassState) -> Iterator[PackageUse]:
    if origin.own is not None:
        evidence = Evidence.EXECUTED if state is ClassState.INITIALISED else Evidence.OPENED
        yield replace(origin.own, evidence=evidence)
    yield from origin.shaded
