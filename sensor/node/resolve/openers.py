"""Which language runtimes an opener hosts: only those make an opened file evidence of loading.

``tar``, ``grep`` and backup agents open every file of a package, so the opener has to be the
ecosystem's interpreter itself or a program with it inside: uWSGI, Apache with mod_wsgi, Electron, a
Node.js or Python under another name. Scripts such as gunicorn or npm need no rule: the program that
the kernel sees is their interpreter.

How it is told, strongest first:

1. The executable links the runtime's library or exports its API (a ``python`` without a shared
   libpython exports ``Py_BytesMain`` for its extension modules, ``node`` exports Node-API).
2. The executable cannot tell (it is gone, unreadable, static, or of a runtime that exports nothing):
   its name. A dynamic executable that could tell and does not is not the runtime, whatever its name.
3. The library is mapped as code by the process, looked up when nothing above speaks. Opening a
   library alone proves nothing, ``tar`` and ``ldconfig`` do that too; it is the moment to look.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sensor.model.events import EventFlag, EventKind, FileId, KernelEvent
from sensor.model.package import Ecosystem
from sensor.node.resolve.elf import DynamicFacts, NotElf, dynamic_facts
from sensor.node.resolve.lru import LruCache
from sensor.node.resolve.running import executable_path, mapped_runtimes
from sensor.node.resolve.runtimes import SYMBOLS, exported_by, library_of, named, named_only, needed_by
from sensor.node.rootfs import FileIdentity, RootFilesystem, Unreadable

UNSURE_SECONDS = 30.0
"""Life of an answer that a later dlopen or a readable file may change."""

GONE_SECONDS = 1.0
"""Life of a "no" about a process that had ended before it could be looked at."""

SURE_SECONDS = 300.0
"""Life of an answer from the executable itself; inode numbers are used again after a deletion."""

_ENTRIES = 4096
_CACHED_PATH_LENGTH = 512

_NONE: frozenset[Ecosystem] = frozenset()
_Executable = tuple[int, int, FileId]  # mount namespace, its sequence number, executable


@dataclass(frozen=True, slots=True)
class _Decision:
    hosted: frozenset[Ecosystem]
    until: float


def _opens_a_runtime(event: KernelEvent) -> bool:
    return event.kind is EventKind.OPEN and bool(library_of(event.path[event.path.rfind("/") + 1 :]))


def _key(event: KernelEvent) -> _Executable:
    return (event.mount_namespace, event.mount_namespace_id, event.executable)


class Openers:
    """For all containers, called from one thread. ``clock`` gives seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, proc: str = "/proc") -> None:
        self._clock = clock
        self._proc = proc
        self.decisions: LruCache[_Executable, _Decision] = LruCache(_ENTRIES)
        # Runtimes seen mapped. Kept without expiry: the kernel reports one open of a library per
        # executable and mount namespace, so that a second process of it gives no second chance.
        self.hosting: LruCache[_Executable, frozenset[Ecosystem]] = LruCache(_ENTRIES)
        self.paths: LruCache[_Executable, str] = LruCache(_ENTRIES)
        # What an executable says, the same in all containers of one image.
        self.facts: LruCache[tuple[str, FileIdentity], DynamicFacts] = LruCache(_ENTRIES)

    def observe(self, event: KernelEvent) -> None:
        """Learn from an event. Call it for every event, before :meth:`ecosystems`."""
        key = _key(event)
        if event.kind is EventKind.EXEC:
            usable = not event.flags & (EventFlag.PATH_TRUNCATED | EventFlag.DETACHED | EventFlag.CHROOT)
            if usable and len(event.path) <= _CACHED_PATH_LENGTH:
                self.paths.put(key, event.path)
        elif _opens_a_runtime(event):
            self._look_at_mappings(event, key)
            # The loader may not have mapped it yet: decide again at the next event.
            self.decisions.discard(key)

    def ecosystems(self, event: KernelEvent, root: RootFilesystem) -> frozenset[Ecosystem]:
        """Return the ecosystems whose runtime the opener of ``event`` hosts; often none."""
        key = _key(event)
        now = self._clock()
        decision = self.decisions.get(key)
        if decision is None or decision.until <= now:
            hosted, life = self._decide(event, key, root)
            if not hosted and _opens_a_runtime(event):
                life = 0.0  # it is not mapped yet: decide again at the next event
            decision = _Decision(hosted, now + life)
            self.decisions.put(key, decision)
        seen = self.hosting.get(key)
        return decision.hosted if seen is None else decision.hosted | seen

    def sweep(self) -> None:
        """Drop what was not used since the last sweep; ``hosting`` excepted, which no event tells twice."""
        for cache in (self.decisions, self.facts, self.paths):
            cache.sweep()

    def _decide(
        self, event: KernelEvent, key: _Executable, root: RootFilesystem
    ) -> tuple[frozenset[Ecosystem], float]:
        facts = self._facts(event, key, root)
        if facts is not None and (told := needed_by(facts.needed) | exported_by(facts.exported)):
            return told, SURE_SECONDS
        # A static program has nothing to link and nobody to export to.
        may_tell = facts is not None and facts.interpreted
        hosted = (named_only if may_tell else named)(event.executable_name)
        if hosted:
            return hosted, UNSURE_SECONDS
        looked = self._look_at_mappings(event, key)
        return hosted, UNSURE_SECONDS if looked else GONE_SECONDS

    def _look_at_mappings(self, event: KernelEvent, key: _Executable) -> bool:
        """Return whether the process was still there to look at."""
        found = mapped_runtimes(self._proc, event.pid, event.start_boottime)
        if found:
            self.hosting.put(key, (self.hosting.get(key) or _NONE) | found)
        return found is not None

    def _facts(self, event: KernelEvent, key: _Executable, root: RootFilesystem) -> DynamicFacts | None:
        path = self.paths.get(key) or executable_path(self._proc, event.pid, event.start_boottime)
        if path is None:
            return None
        try:
            identity = (path, root.stat(path).identity)
            facts = self.facts.get(identity)
            if facts is None:
                with root.open(path) as file:
                    facts = dynamic_facts(file, SYMBOLS)
                if len(path) <= _CACHED_PATH_LENGTH:
                    self.facts.put(identity, facts)
            return facts
        except (Unreadable, NotElf, OSError):
            return None
