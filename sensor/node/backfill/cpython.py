"""Which modules a running CPython has loaded, found from outside.

For processes that started before the sensor, and when events were lost. The interpreter runs on
meanwhile, so a reading is built up in rounds: list every ``sys.modules``, read what is new in it,
list again. A module counts once it stood in the list before and after it was read, all the while in the
same slot: memory that is freed is another object's at once, and may be listed again. The reading is
whole when a round brings nothing new or, of a process that never stops importing, when all that an
earlier round had listed is read: it is then the state of a moment after the call began.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sensor.node.backfill.cpython_interpreters import (
    Interpreters,
    NoInterpreter,
    NotPython,
    find_interpreters,
)
from sensor.node.backfill.cpython_modules import AttributeNames, LoadedModule, read_module
from sensor.node.backfill.cpython_objects import Objects, Torn
from sensor.node.backfill.memory import BadAddress, LimitReached, ProcessGone, ProcessMemory, ReadLimits

MODULES_MAX = 50_000
"""Modules reported of one process; a large application loads about 5,000."""

_ROUNDS = 4  # after which what is new need no longer be waited for
_STALLED_ROUNDS = 16  # that read nothing anew, before a reading is given up as never at rest
_ATTEMPTS = 6  # to find the interpreters
_PAUSE = 0.001  # seconds after such a round or attempt, growing by as much each time

_Entry = tuple[int, int, int]  # dictionary, key and value: a module under a name in one interpreter


class Problem(enum.StrEnum):
    """Why a scan is not whole."""

    NONE = ""
    NOT_PYTHON = "not python"
    SYMBOLS_NOT_FOUND = "symbols not found"
    NO_INTERPRETER = "no interpreter"
    VANISHED = "vanished"
    NOT_PERMITTED = "not permitted"
    INCONSISTENT = "inconsistent"
    DEADLINE = "deadline"
    TOO_LARGE = "too large"


@dataclass(frozen=True, slots=True)
class ModuleScan:
    """Modules of all interpreters of a process, sorted, and whether they were all.

    Names that ``sys.modules`` maps to None are left out: that is how an import is forbidden. If not
    ``whole``, ``modules`` are those found so far, each of them read consistently.
    """

    modules: tuple[LoadedModule, ...]
    whole: bool
    problem: str
    """A :class:`Problem`, '' when whole."""


def loaded_modules(
    pid: int, start_boottime: int | None, *, limits: ReadLimits | None = None, proc: str = "/proc"
) -> ModuleScan:
    """Return what the CPython that process ``pid`` runs has loaded. Never raises for what a process may be.

    ``start_boottime`` (ns) is when the process must have started, None for whoever has the pid now.
    Passive, and bounded in bytes, seconds and modules. Needs CAP_SYS_PTRACE for others' processes.
    """
    reading = _Reading()
    try:
        with ProcessMemory(pid, limits, proc) as memory:
            problem = _scan(reading, memory, start_boottime)
    except PermissionError:
        problem = Problem.NOT_PERMITTED
    except ProcessGone:
        return ModuleScan((), False, Problem.VANISHED)
    except LimitReached as error:
        problem = Problem.TOO_LARGE if error.bytes_left < 0 else Problem.DEADLINE
    return ModuleScan(reading.modules(), problem is Problem.NONE, problem)


def _scan(reading: _Reading, memory: ProcessMemory, start_boottime: int | None) -> Problem:
    if start_boottime is not None and not memory.started_at(start_boottime):
        return Problem.VANISHED
    try:
        problem = reading.run(_interpreters(memory))
    except NotPython as error:
        problem = Problem.SYMBOLS_NOT_FOUND if error.named else Problem.NOT_PYTHON
    except NoInterpreter:
        problem = Problem.NO_INTERPRETER
    memory.verify()
    return problem


def _interpreters(memory: ProcessMemory) -> Interpreters:
    """Find them; what is found changing at that moment is looked at again."""
    for attempt in range(1, _ATTEMPTS):
        with contextlib.suppress(NoInterpreter):
            return find_interpreters(memory)
        memory.pause(_PAUSE * attempt)
    return find_interpreters(memory)


class _Reading:
    """What has been read of one process so far."""

    def __init__(self) -> None:
        self._known: dict[_Entry, LoadedModule | None] = {}
        self._confirmed: dict[_Entry, LoadedModule | None] = {}
        self._names: dict[int, AttributeNames] = {}

    def run(self, interpreters: Interpreters) -> Problem:
        """Read in rounds until all is known. Raises LimitReached and ProcessGone."""
        earlier: set[_Entry] | None = None
        rounds = stalled = 0
        while stalled < _STALLED_ROUNDS:
            entries = _listed(interpreters)
            if entries is not None:
                if len(entries) > MODULES_MAX:
                    return Problem.TOO_LARGE
                self._confirm(entries)
                fresh = {entry: slot for entry, slot in entries.items() if entry not in self._known}
                rounds += 1
                if not fresh or (rounds > _ROUNDS and earlier is not None and earlier.isdisjoint(fresh)):
                    return Problem.NONE
                earlier = set(entries)
                if self._read(interpreters.objects, fresh):
                    stalled = 0
                    continue
            stalled += 1
            interpreters.memory.pause(_PAUSE * stalled)
        return Problem.INCONSISTENT

    def modules(self) -> tuple[LoadedModule, ...]:
        """Return what stood in the lists before and after it was read."""
        modules = {module for module in self._confirmed.values() if module is not None}
        return tuple(sorted(modules, key=_order)[:MODULES_MAX])

    def _confirm(self, entries: Iterable[_Entry]) -> None:
        """Believe what is still listed, and forget what has gone: its memory may be another's now.

        What was believed once stays: importlib removes and adds a module again when it has executed it.
        """
        self._known = {entry: self._known[entry] for entry in entries if entry in self._known}
        self._confirmed.update(self._known)

    def _read(self, objects: Objects, fresh: Mapping[_Entry, int]) -> int:
        """Read new entries and return how many could be; the others were changing."""
        for dictionary, _, value in fresh:
            self._names.setdefault(dictionary, AttributeNames(objects)).learn_of(value)
        done = 0
        for entry, slot in fresh.items():
            dictionary, key, value = entry
            with contextlib.suppress(BadAddress, Torn):
                self._known[entry] = read_module(objects, self._names[dictionary], slot, key, value)
                done += 1
        return done


def _listed(interpreters: Interpreters) -> dict[_Entry, int] | None:
    """Return the entries of every ``sys.modules`` and their slots, None if one was changing too much.

    As long as a dictionary keeps its keys, entries are only appended or cleared. So if as many are set
    as were in use when its state was read, they are those of that moment, whatever was appended since.
    """
    entries: dict[_Entry, int] = {}
    objects = interpreters.objects
    try:
        for modules in interpreters.modules():
            before = objects.table(modules)
            listed = objects.slots(before)
            if len(listed) != before.used or objects.table(modules).keys != before.keys:
                return None
            entries.update(((modules, key, value), slot) for slot, key, value in listed)
    except (BadAddress, Torn):
        return None
    return entries


def _order(module: LoadedModule) -> tuple[str, str, str]:
    return module.name, module.file or "", module.cached or ""
