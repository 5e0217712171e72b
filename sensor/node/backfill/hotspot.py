"""Which classes a running HotSpot has loaded, and which of them it has initialised, found from outside.

The VM runs on meanwhile: it loads, and it unloads and gives the memory to others. So its lists are
read at least twice. A class counts once it stood in them under its name, at the same address and in
the list of the same loader, before and after the name was read: the class holds its name, so the name
was not freed between. The reading is whole when both times all lists were read to their ends; it is
then the state of a moment after the call began.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass

from sensor.node.backfill.hotspot_classes import TYPES, Classes, Listing, LoaderGraph, Names, TooMany
from sensor.node.backfill.hotspot_dictionary import SystemDictionary
from sensor.node.backfill.hotspot_library import Symbols, libraries
from sensor.node.backfill.hotspot_structs import Blocks, NotDescribed, Readable, Structs
from sensor.node.backfill.memory import BadAddress, LimitReached, ProcessGone, ProcessMemory, ReadLimits

LIMITS = ReadLimits(size=512 << 20, seconds=5.0)
"""20,000 classes take about 60 MiB and a tenth of a second; without compressed class pointers more."""

_OBJECT = "java/lang/Object"
_ROUNDS = 4  # after which what is new need no longer be waited for
_STALLED_ROUNDS = 12  # that do not find all lists whole twice in a row
_PAUSE = 0.002  # seconds after such a round, growing by as much each time
# Hidden classes (JDK 15: '+', 21 on without a number before it) and VM-anonymous ones before; the
# last is an address or, in JDK 8, a hash. No class file can hold a name that ends like this.
_HIDDEN = re.compile(r"(?:\+0x[0-9a-f]+|/0x[0-9a-f]+|/[0-9]+)$")


class Problem(enum.StrEnum):
    """Why a scan is not whole."""

    NONE = ""
    NOT_HOTSPOT = "not hotspot"
    SYMBOLS_NOT_FOUND = "symbols not found"
    VANISHED = "vanished"
    NOT_PERMITTED = "not permitted"
    INCONSISTENT = "inconsistent"
    DEADLINE = "deadline"
    TOO_LARGE = "too large"


class ClassState(enum.IntEnum):
    """How far a class came (JVMS 5.3 to 5.5)."""

    LOADED = 1
    LINKED = 2
    INITIALISED = 3
    """Code of it has run or is about to: also one whose initialiser runs still, or has failed."""


@dataclass(frozen=True, slots=True)
class LoadedClass:
    """``name`` is in internal form, ``org/x/Y``; hidden classes are without the suffix that tells them apart.

    ``loader`` is a number that is another for each class loader of the process.
    """

    name: str
    state: ClassState
    loader: int


@dataclass(frozen=True, slots=True)
class ClassScan:
    """Classes that a process has loaded, and whether they were all.

    Those of one loader stand together, the boot loader's first, then in the order in which the loaders
    were made; no arrays. If not ``whole``, ``classes`` are those found so far, each read consistently.
    """

    classes: tuple[LoadedClass, ...]
    whole: bool
    problem: str
    """A :class:`Problem`, '' when whole."""
    boot_loader: int = 0
    """The loader of ``java/lang/Object``, 0 if that was not seen."""


def loaded_classes(
    pid: int, start_boottime: int | None, *, limits: ReadLimits | None = None, proc: str = "/proc"
) -> ClassScan:
    """Return the classes of the HotSpot in process ``pid``. Never raises for what a process may be.

    ``start_boottime`` (ns) is when the process must have started, None for whoever has the pid now.
    Passive, and bounded in bytes, seconds, loaders and classes. Needs CAP_SYS_PTRACE for others'
    processes. Only memory and /proc/PID/maps are read: namespaces do not matter.
    """
    reading = Reading()
    try:
        with ProcessMemory(pid, limits or LIMITS, proc, data_files=True) as memory:
            problem = _scan(reading, memory, start_boottime)
    except PermissionError:
        problem = Problem.NOT_PERMITTED
    except ProcessGone:
        return ClassScan((), False, Problem.VANISHED)
    except LimitReached as error:
        problem = Problem.TOO_LARGE if error.bytes_left < 0 else Problem.DEADLINE
    return reading.result(problem)


def read_classes(
    reading: Reading,
    memory: Readable,
    symbol: Symbols,
    pause: Callable[[float], None],
) -> Problem:
    """Read the classes of a VM whose exported variables ``symbol`` finds.

    ``pause`` sleeps for seconds. Raises LimitReached and ProcessGone.
    """
    try:
        structs = Structs(Blocks(memory), symbol, TYPES)
        reading.start(structs)
        lists, names = _lists(memory, structs), Names(memory, structs)
    except NotDescribed:
        return Problem.SYMBOLS_NOT_FOUND
    except BadAddress:
        return Problem.INCONSISTENT  # not relocated yet
    try:
        return reading.run(lists, names, pause)
    except TooMany:
        return Problem.TOO_LARGE


def _scan(reading: Reading, memory: ProcessMemory, start_boottime: int | None) -> Problem:
    if start_boottime is not None and not memory.started_at(start_boottime):
        return Problem.VANISHED
    problem = Problem.NOT_HOTSPOT
    for symbols in libraries(memory):
        problem = read_classes(reading, memory, symbols, memory.pause)
        if problem is not Problem.SYMBOLS_NOT_FOUND:
            break
    memory.verify()
    return problem


def _lists(memory: Readable, structs: Structs) -> Classes:
    if structs.has("ClassLoaderData", "_klasses"):
        return LoaderGraph(memory, structs)
    return SystemDictionary(memory, structs)


class Reading:
    """What has been read of one process so far."""

    def __init__(self) -> None:
        self._confirmed: dict[tuple[str, int], ClassState] = {}
        self._states: list[ClassState | None] = []
        self._boot_loader = 0

    def start(self, structs: Structs) -> None:
        """Learn how this VM numbers the states. Raises NotDescribed.

        A class is listed before it is loaded (``allocated``), and stays so if that fails or another
        thread was faster: such are none.
        """
        order = ("loaded", "linked", "being_initialized")
        loaded, linked, running = (structs.constant(f"InstanceKlass::{name}") for name in order)
        self._states = [None] * 256
        for number in range(256):
            if number >= running:
                self._states[number] = ClassState.INITIALISED
            elif number >= linked:
                self._states[number] = ClassState.LINKED
            elif number >= loaded:
                self._states[number] = ClassState.LOADED

    def run(self, lists: Classes, names: Names, pause: Callable[[float], None]) -> Problem:
        """Read until all is confirmed. Raises TooMany, LimitReached and ProcessGone."""
        before = lists.listing()
        known = names.of(before.names)
        whole_twice = False
        rounds = stalled = 0
        while stalled < _STALLED_ROUNDS:
            now = lists.listing()
            rounds += 1
            sound = self._sound(before, known) and self._ends_as(before, now)
            if before.same_classes(now):
                self._confirm(now, known)
                fresh = 0
            else:
                known, fresh = self._compare(before, known, now, names)
            before = now
            whole_twice = whole_twice or sound
            if whole_twice and (not fresh or rounds >= _ROUNDS):
                return Problem.NONE
            if not sound:
                stalled += 1
                pause(_PAUSE * stalled)
        return Problem.INCONSISTENT

    def result(self, problem: Problem) -> ClassScan:
        """Return what is confirmed."""
        # The VM lists the newest loader first.
        found = [LoadedClass(name, state, loader) for (name, loader), state in self._confirmed.items()]
        found.reverse()
        return ClassScan(tuple(found), problem is Problem.NONE, problem, self._boot_loader)

    def _sound(self, listing: Listing, known: list[str]) -> bool:
        """Whether all lists were read to their ends, and the list of loaders led where it must."""
        if not listing.whole or "" in known:
            return False
        if _OBJECT not in known:
            return False
        self._boot_loader = listing.loaders[known.index(_OBJECT)]
        return listing.last_loader in (0, self._boot_loader)

    def _ends_as(self, before: Listing, now: Listing) -> bool:
        return now.whole and now.last_loader == before.last_loader

    def _compare(
        self, before: Listing, known: list[str], now: Listing, names: Names
    ) -> tuple[list[str], int]:
        """Confirm what is listed again; return the names of ``now`` and how many classes are new in it."""
        entries = zip(before.classes, before.names, before.loaders, strict=True)
        earlier = dict(zip(entries, known, strict=True))
        unknown = Listing()
        listed = list(zip(now.classes, now.names, now.loaders, strict=True))
        again: list[str] = []
        for entry in listed:
            name = earlier.get(entry, "")
            again.append(name)
            if not name:
                unknown.names.append(entry[1])
        self._confirm(now, again)
        fresh = iter(names.of(unknown.names))
        return [name or next(fresh) for name in again], len(unknown.names)

    def _confirm(self, listing: Listing, names: list[str]) -> None:
        """Believe the classes that have a name."""
        confirmed, states = self._confirmed, self._states
        for name, loader, number in zip(names, listing.loaders, listing.states, strict=True):
            state = states[number]
            if state is None or not name:
                continue
            if "0x" in name or name[name.rfind("/") + 1 :].isdigit():
                name = _HIDDEN.sub("", name)  # noqa: PLW2901 - of 20,000 names a few
            key = (name, loader)
            if confirmed.get(key, 0) < state:
                confirmed[key] = state
