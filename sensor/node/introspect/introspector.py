"""Which processes are asked, and when: a thread of its own, off the path of the events.

A process is known here once it opened (or is) something that only it can tell the use of. Others of
the same program in the same container are found by looking, because the kernel reports a file once
for a container, whichever of its processes opens it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from sensor.model.container import ContainerIdentity
from sensor.model.events import EventFlag, KernelEvent
from sensor.model.package import PackageUse
from sensor.node.backfill.processes import ProcessTable
from sensor.node.identify.processes import lives, processes_by_namespace
from sensor.node.introspect.interface import ENDED_UNASKED, Finding, Probe, Subject
from sensor.node.introspect.problems import Problems
from sensor.node.introspect.schedule import Schedule
from sensor.node.inventory import Inventory
from sensor.node.rootfs import RootFilesystem
from sensor.node.scan import ProcessScan

log = logging.getLogger(__name__)

MAX_PROCESSES = 4096
MAX_FILES = 4096
"""Of one process. Beyond either bound the container's coverage turns partial, and a counter moves."""
SIBLINGS_PERIOD = 5.0
"""Seconds between two searches for further processes of the same programs."""
SWEEP_PERIOD = 60.0

UNASKED = "unasked"
"""Coverage reason: a process opened an archive and was not asked yet what it uses of it."""
TOO_MANY_PROCESSES = "too_many_processes"
ROOT_UNAVAILABLE = "root_unavailable"

OUTCOMES = ("asked", "unchanged", ENDED_UNASKED, "dropped", "failed")
"""What :attr:`Introspector.counters` count, the probes aside."""

_BREATH = 0.05
_SAME_START = 20_000_000
"""Nanoseconds: /proc tells the start of a process in ticks of 10 ms, the kernel's events exactly."""


@dataclass(slots=True)
class _Asked:
    subject: Subject
    schedule: Schedule
    files: dict[str, None] = field(default_factory=dict)
    holds_packages: bool = False
    """Whether it opened a file with packages in it, so that its silence would be a loss."""
    probe: Probe | None = None
    stamp: object | None = None
    known: set[PackageUse] = field(default_factory=set)
    asked: bool = False
    waiting: list[ProcessScan] = field(default_factory=list)


class Introspector(threading.Thread):
    """See the module. ``note`` and ``answer`` may be called from any thread; :attr:`counters` only grow.

    ``probes`` makes what one thread asks with; ``root_of`` gives a container's files while it lives;
    ``scanned`` is told how a :class:`ProcessScan` that was handed to :meth:`answer` went.
    """

    def __init__(
        self,
        probes: Sequence[Probe],
        inventory: Inventory,
        root_of: Callable[[int, int], RootFilesystem | None],
        scanned: Callable[[ProcessScan, bool], None],
    ) -> None:
        super().__init__(name="introspect", daemon=True)
        self._probes = tuple(probes)
        self._inventory = inventory
        self._root_of = root_of
        self._scanned = scanned
        self._table = ProcessTable()
        self._problems = Problems(inventory.partial, inventory.covered)
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._processes: dict[int, _Asked] = {}
        self._next_siblings = 0.0
        self._next_sweep = 0.0
        self.counters: Counter[str] = Counter()
        """:data:`OUTCOMES`, and the names of probes with the times that each had an answer."""
        self.seconds = 0.0
        """Of processor time, spent on asking."""

    @property
    def processes(self) -> int:
        """How many are asked at present."""
        return len(self._processes)

    @property
    def waiting(self) -> int:
        """How many of them are to be asked for the first time."""
        return sum(not entry.asked for entry in list(self._processes.values()))

    def note(self, event: KernelEvent, container: ContainerIdentity, holds_packages: bool) -> None:
        """The file of ``event`` leaves open what is used of it.

        ``holds_packages``: it has packages inside that are reported as ``bundled``.
        """
        if event.flags & EventFlag.CHROOT:
            # Its paths are below a root that is not the container's.
            if holds_packages:
                self._inventory.partial(container, ROOT_UNAVAILABLE)
            return
        subject = Subject(
            event.pid,
            event.start_boottime,
            event.executable_name,
            event.mount_namespace,
            event.mount_namespace_id,
            container,
        )
        with self._lock:
            entry = self._entry(subject)
            if entry is None:
                return
            if holds_packages and not entry.holds_packages:
                entry.holds_packages = True
                if not entry.asked:
                    self._problems.found(container, event.pid, UNASKED)
            if len(entry.files) < MAX_FILES:
                entry.files[event.path] = None
            elif event.path not in entry.files:
                self.counters["dropped"] += 1
                self._inventory.partial(container, "too_many_archives")
            entry.schedule.opened(time.monotonic())
        self._wake.set()

    def answer(self, scan: ProcessScan) -> None:
        """Ask the process of a scan, whose files alone do not tell; ``scanned`` is called afterwards."""
        process = scan.process
        subject = Subject(
            process.pid,
            process.start_boottime,
            process.executable_name,
            process.mount_namespace,
            0,
            scan.container,
        )
        with self._lock:
            entry = self._entry(subject)
            if entry is not None:
                entry.waiting.append(scan)
                entry.schedule.opened(time.monotonic())
        if entry is None:
            self._scanned(scan, False)
        self._wake.set()

    def forget(self, container: ContainerIdentity) -> None:
        """The container has ended."""
        with self._lock:
            self._problems.forget(container)

    def stop(self, timeout: float) -> None:
        """Ask whoever is due a last time, and end."""
        self._stopping.set()
        self._wake.set()
        if self.is_alive():
            self.join(timeout)

    def run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(self._until_due())
            self._stopping.wait(_BREATH)  # a process that starts notes hundreds of files
            self._wake.clear()
            self.round(time.monotonic())
        self.ask_the_unasked()

    def round(self, now: float) -> None:
        """Ask everyone that is due at ``now``, monotonic seconds."""
        if now >= self._next_siblings:
            self._next_siblings = now + SIBLINGS_PERIOD
            self._guarded(self._find_siblings)
        with self._lock:
            due = [entry for entry in self._processes.values() if entry.schedule.due <= now]
        for entry in sorted(due, key=lambda entry: entry.schedule.due):
            if self._stopping.is_set():
                return
            self._guarded(partial(self._turn, entry))
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_PERIOD
            for probe in self._probes:
                self._guarded(probe.sweep)

    def ask_the_unasked(self) -> None:
        """At the end: what opened archives a moment ago is asked at once."""
        with self._lock:
            unasked = [entry for entry in self._processes.values() if not entry.asked]
        for entry in unasked:
            self._guarded(partial(self._turn, entry))

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception:  # the edge of the loop: one process must not end the thread
            self.counters["failed"] += 1
            log.exception("a process could not be asked")

    def _until_due(self) -> float:
        with self._lock:
            due = min((entry.schedule.due for entry in self._processes.values()), default=None)
        if due is None:
            return 60.0  # woken by the first note
        return max(0.0, min(due, self._next_siblings) - time.monotonic())

    def _entry(self, subject: Subject) -> _Asked | None:
        """The lock is held."""
        entry = self._processes.get(subject.pid)
        if entry is not None:
            apart = abs(entry.subject.start_boottime - subject.start_boottime)
            if apart <= _SAME_START and entry.subject.container == subject.container:
                return entry
            self._leave(entry)  # the pid is another process's now
        if len(self._processes) >= MAX_PROCESSES:
            self.counters["dropped"] += 1
            self._inventory.partial(subject.container, TOO_MANY_PROCESSES)
            return None
        entry = self._processes[subject.pid] = _Asked(subject, Schedule(time.monotonic()))
        return entry

    def _turn(self, entry: _Asked) -> None:
        subject = entry.subject
        root = self._root_of(subject.mount_namespace, subject.mount_namespace_id)
        if root is None or not lives(subject.pid, subject.start_boottime):
            with self._lock:
                self._leave(entry)
            return
        if entry.probe is not None and entry.stamp is not None:
            stamp = entry.probe.stamp(subject, root)
            if stamp == entry.stamp and not entry.waiting:
                self.counters["unchanged"] += 1
                entry.schedule.unchanged(time.monotonic())
                return
        self._ask(entry, root)

    def _ask(self, entry: _Asked, root: RootFilesystem) -> None:
        begun = time.thread_time()
        with self._lock:
            files, scans = tuple(entry.files), tuple(entry.waiting)
        try:
            finding = self._look(entry, root, files)
        except Exception:
            self._done(scans, entry, False)
            took = time.thread_time() - begun
            entry.schedule.asked(time.monotonic(), took, news=False, counted=False)
            self._problems.found(entry.subject.container, entry.subject.pid, "failed")
            raise
        took = time.thread_time() - begun
        self.seconds += took
        if finding is None:  # no runtime that has anything to tell
            self._problems.solved(entry.subject.container, entry.subject.pid)
            with self._lock:
                entry.asked = True
                entry.schedule.asked(time.monotonic(), took, news=False, counted=False)
            self._done(scans, entry, False)
            return
        self._heed(entry, finding, took)
        self._done(scans, entry, not finding.problem)

    def _look(self, entry: _Asked, root: RootFilesystem, files: Sequence[str]) -> Finding | None:
        self.counters["asked"] += 1
        for probe in self._probes if entry.probe is None else (entry.probe,):
            # Before, so that what is loaded meanwhile moves it again.
            stamp = probe.stamp(entry.subject, root)
            finding = probe.look(entry.subject, root, files)
            if finding is not None:
                entry.probe, entry.stamp = probe, stamp
                self.counters[probe.name] += 1
                return finding
        return None

    def _heed(self, entry: _Asked, finding: Finding, took: float) -> None:
        subject, at = entry.subject, time.time()
        fresh = [use for use in finding.uses if use not in entry.known]
        for use in finding.uses:
            self._inventory.loaded(subject.container, use, at)
        entry.known.update(fresh)
        if finding.problem:
            self._problems.found(subject.container, subject.pid, finding.problem)
        else:
            self._problems.solved(subject.container, subject.pid)
        with self._lock:
            entry.asked = entry.asked or not finding.problem
            entry.schedule.asked(time.monotonic(), took, news=bool(fresh), counted=entry.stamp is not None)

    def _done(self, scans: Sequence[ProcessScan], entry: _Asked, whole: bool) -> None:
        with self._lock:
            entry.waiting = [scan for scan in entry.waiting if scan not in scans]
        for scan in scans:
            self._scanned(scan, whole)

    def _leave(self, entry: _Asked) -> None:
        """The process has gone. The lock is held."""
        self._processes.pop(entry.subject.pid, None)
        if not entry.asked and entry.holds_packages:
            self.counters[ENDED_UNASKED] += 1
            self._inventory.partial(entry.subject.container, ENDED_UNASKED)
            self._problems.solved(entry.subject.container, entry.subject.pid, only=UNASKED)
        for scan in entry.waiting:
            self._scanned(scan, False)

    def _find_siblings(self) -> None:
        """Further processes of the programs that are asked, in the same containers."""
        with self._lock:
            known = dict(self._processes)
        examples = {
            (entry.subject.mount_namespace, entry.subject.executable_name): entry
            for entry in known.values()
            if entry.probe is not None
        }
        namespaces = {namespace for namespace, _ in examples}
        if not namespaces:
            return
        for namespace, pids in processes_by_namespace(namespaces).items():
            for pid in pids:
                if pid not in known:
                    self._meet(namespace, pid, examples)

    def _meet(self, namespace: int, pid: int, examples: dict[tuple[int, str], _Asked]) -> None:
        process = self._table.process(pid)
        example = None if process is None else examples.get((namespace, process.executable_name))
        if process is None or example is None:
            return
        like = example.subject
        subject = Subject(
            pid,
            process.start_boottime,
            like.executable_name,
            namespace,
            like.mount_namespace_id,
            like.container,
        )
        with self._lock:
            entry = self._entry(subject)
            if entry is not None:
                entry.files.update(example.files)
                entry.holds_packages |= example.holds_packages
