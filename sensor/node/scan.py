"""What one running process has loaded, as events like the kernel's own.

Used where events are missing: processes older than the sensor, and those whose events were lost.
The program, mapped and open files are in /proc for every process; the modules of a CPython
interpreter are read from its memory; a HotSpot is asked by :mod:`sensor.node.introspect`. Other
interpreters keep no descriptor of what they loaded, so their scan is never whole and the container's
coverage stays partial.
"""

from __future__ import annotations

import enum
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sensor.model.container import ContainerIdentity
from sensor.model.events import EventFlag, EventKind, FileId, KernelEvent
from sensor.node.backfill.cpython import Problem, loaded_modules
from sensor.node.backfill.cpython_modules import LoadedModule
from sensor.node.backfill.processes import Process, ProcessTable
from sensor.node.identify.processes import lives

# Programs that load packages and leave no trace of it in /proc, under versions too (pypy3.10), but not
# whatever begins alike (node_exporter).
_OPAQUE = re.compile(r"(node|nodejs|bun|deno|electron|java|pypy|ruby)[-.0-9]*")
# Its classes are in files it need not have open: class data sharing.
_HOTSPOT = "/libjvm.so"
# A bound of the process table was reached: files are missing from what it gave.
_CUT = ("maps_cut", "open_files_cut")


class Scanned(enum.Enum):
    """How a scan went."""

    WHOLE = "everything the process has loaded was found"
    PART = "something may be missing"
    ASK_PROCESS = "its files were found; what it uses of them, only the process can tell"


@dataclass(frozen=True, slots=True)
class ProcessScan:
    """A process to look at, and the coverage reason that a whole scan takes back."""

    process: Process
    container: ContainerIdentity
    reason: str


def process_event(
    process: Process, path: str, at: int, deleted: bool = False, kind: EventKind = EventKind.OPEN
) -> KernelEvent:
    """Return the event that the kernel would have sent for a file, as of ``at``, ns of CLOCK_BOOTTIME.

    When it was opened is not known, only that it was by then; nor is its inode: zero.
    """
    return KernelEvent(
        kind=kind,
        flags=EventFlag.DELETED if deleted else EventFlag.NONE,
        time=at,
        pid=process.pid,
        start_boottime=process.start_boottime,
        uid=process.uid,
        comm=process.comm,
        mount_namespace=process.mount_namespace,
        mount_namespace_id=0,
        cgroup_id=0,
        cgroup_path=process.cgroup_path,
        executable=process.executable,
        executable_name=process.executable_name,
        file=FileId(0, 0),
        path=path,
        seen_key=b"",
    )


def scan(
    work: ProcessScan, resolve: Callable[[KernelEvent], None], table: ProcessTable | None = None
) -> Scanned:
    """Hand everything the process has loaded to ``resolve``; return whether that is all of it."""
    table = table or ProcessTable()
    process = work.process
    cut_before = _cuts(table)
    program = table.program(process.pid)
    mapped = table.mapped_files(process.pid)
    files = (*mapped, *table.open_files(process.pid))
    at = _now()  # all of it was loaded by then, and the process lived: checked after
    if not lives(process.pid, process.start_boottime):
        return Scanned.PART  # and the files may be those of the next process with its pid
    if program is not None:
        resolve(process_event(process, program, at, program.deleted, EventKind.EXEC))
    for file in files:
        resolve(process_event(process, file, at, file.deleted))
    modules = loaded_modules(process.pid, process.start_boottime)
    read_at = _now()
    if lives(process.pid, process.start_boottime):
        at = read_at
    for path in _module_files(modules.modules):
        resolve(process_event(process, path, at))
    if _cuts(table) > cut_before:
        return Scanned.PART
    if any(file.endswith(_HOTSPOT) for file in mapped):
        return Scanned.ASK_PROCESS
    if modules.problem == Problem.NOT_PYTHON:
        return Scanned.PART if _OPAQUE.fullmatch(process.executable_name) else Scanned.WHOLE
    return Scanned.WHOLE if modules.whole else Scanned.PART


def _now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _cuts(table: ProcessTable) -> int:
    return sum(table.counters[name] for name in _CUT)


def _module_files(modules: tuple[LoadedModule, ...]) -> Iterator[str]:
    """The file each module came from; byte code where there is no source."""
    for module in modules:
        path = module.file or module.cached
        if path is not None and path.startswith("/"):
            yield path
