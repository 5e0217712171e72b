"""Which modules a CPython process has loaded, those inside archives too: by its own ``sys.modules``.

A zipped application, an egg or a wheel on sys.path is opened once, whatever is imported from it; each
of its modules names the archive in ``__file__``: ``/app/tool.pyz/requests/api.py`` (zipimport).
"""

from __future__ import annotations

import posixpath
import time
from collections.abc import Collection, Iterable, Iterator

from sensor.model.package import Ecosystem, Evidence, PackageUse, Skipped
from sensor.node.backfill.cpython import ModuleScan, Problem, loaded_modules
from sensor.node.backfill.cpython_interpreters import NoInterpreter, NotPython, find_interpreters
from sensor.node.backfill.cpython_modules import LoadedModule
from sensor.node.backfill.cpython_objects import Torn
from sensor.node.backfill.memory import BadAddress, LimitReached, ProcessGone, ProcessMemory
from sensor.node.introspect.interface import Finding, Subject
from sensor.node.resolve.interface import Resolver
from sensor.node.resolve.python.paths import ARCHIVES, MODULES
from sensor.node.resolve.python.resolver import PythonResolver
from sensor.node.resolve.runtimes import named
from sensor.node.rootfs import RootFilesystem

SECONDS = 5.0
"""For the files of one process, after its memory was read, which has bounds of its own."""

SITES_WEIGHT = 50_000
"""Of the resolver's cache: few containers have modules in archives."""

UNREADABLE = "modules_unreadable"

# Problems that say nothing of the runtime: the memory was not read that far.
_UNTOLD = frozenset({Problem.VANISHED, Problem.NOT_PERMITTED, Problem.DEADLINE, Problem.TOO_LARGE})


class CpythonProbe:
    """See :class:`sensor.node.introspect.interface.Probe`. ``proc`` is where /proc is."""

    def __init__(self, resolver: Resolver | None = None, proc: str = "/proc") -> None:
        self._resolver = resolver or PythonResolver(SITES_WEIGHT)
        self._proc = proc

    @property
    def name(self) -> str:
        return "cpython"

    def stamp(self, subject: Subject, root: RootFilesystem) -> object | None:
        """Return the state of every interpreter's ``sys.modules``: another after each import."""
        try:
            with ProcessMemory(subject.pid, proc=self._proc) as memory:
                if not memory.started_at(subject.start_boottime):
                    return None
                interpreters = find_interpreters(memory)
                return tuple([interpreters.objects.table(modules) for modules in interpreters.modules()])
        except (NotPython, NoInterpreter, BadAddress, Torn, LimitReached, ProcessGone, OSError):
            return None

    def look(self, subject: Subject, root: RootFilesystem, files: Collection[str]) -> Finding | None:
        scan = loaded_modules(subject.pid, subject.start_boottime, proc=self._proc)
        if scan.problem == Problem.NOT_PYTHON or (not scan.modules and not _is_ours(scan, subject, files)):
            return None
        uses: dict[PackageUse, None] = {}
        whole = scan.whole
        deadline = time.monotonic() + SECONDS
        for path in _module_files(scan.modules, files):
            if time.monotonic() > deadline:
                whole = False
                break
            result = self._resolver.resolve(root, path)
            if not isinstance(result, Skipped):
                uses.update(dict.fromkeys(use for use in result if use.evidence is not Evidence.BUNDLED))
            elif result.reason.loses_facts and _archive_of(path, files):
                whole = False
        return Finding(_one_each(uses), "" if whole else UNREADABLE)

    def sweep(self) -> None:
        self._resolver.sweep()


def _is_ours(scan: ModuleScan, subject: Subject, files: Collection[str]) -> bool:
    """Whether a process that told nothing was to tell it here: else the next probe is asked."""
    if scan.problem not in _UNTOLD:
        return True
    return Ecosystem.PYPI in named(subject.executable_name) or any(
        file.lower().endswith((*ARCHIVES, ".py", ".pyc")) for file in files
    )


def _module_files(modules: Iterable[LoadedModule], files: Collection[str]) -> Iterator[str]:
    """The file each module came from, absolute; byte code where there is no source."""
    for module in modules:
        path = module.file or module.cached
        if path is None or not path.lower().endswith(MODULES):
            continue
        if not path.startswith("/"):
            path = _absolute(path, files)
        if path is not None:
            yield path


def _absolute(path: str, files: Collection[str]) -> str | None:
    """Return a path that begins with a relative entry of sys.path: ``python tool.pyz`` makes one.

    Relative to what, an earlier working folder, is not known any more; but the archive was opened.
    """
    path = posixpath.normpath(path)
    while path.startswith("../"):
        path = path[len("../") :]
    for file in files:
        position = file.rfind("/")
        while position >= 0:
            tail = file[position + 1 :]
            if path.startswith(f"{tail}/"):
                return f"{file[: position + 1]}{path}"
            position = file.rfind("/", 0, position) if position else -1
    return None


def _archive_of(path: str, files: Collection[str]) -> bool:
    return any(path.startswith(f"{file}/") for file in files)


def _one_each(uses: Iterable[PackageUse]) -> tuple[PackageUse, ...]:
    """One file is proof enough of a package; the first, so that it is the same each time."""
    first: dict[str, PackageUse] = {}
    for use in uses:
        first.setdefault(use.package.purl, use)
    return tuple(first.values())
