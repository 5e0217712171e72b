"""Native extension modules: an opened shared object is graded ``mapped`` once a process has it mapped.

At the time of the open it is not mapped yet, so the process is looked at a moment later.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace

from sensor.model.container import ContainerIdentity
from sensor.model.events import KernelEvent
from sensor.model.package import Evidence, PackageUse

MAX_PROCESSES = 512
MAX_FILES = 512
"""Of one process. Beyond either bound the weaker grade stays; :attr:`Natives.dropped` counts."""

_NATIVE = re.compile(r"\.(so|node|dll|pyd)(\.[0-9.]+)?$", re.IGNORECASE)

_Process = tuple[int, int]
_Noted = tuple[ContainerIdentity, PackageUse]


class Natives:
    """Remembers opened natives until :meth:`settle`. May be used from several threads."""

    def __init__(self, mapped_files: Callable[[int], Iterable[str]]) -> None:
        self._mapped_files = mapped_files
        self._lock = threading.Lock()
        self._pending: dict[_Process, list[_Noted]] = {}
        self.dropped = 0

    def note(self, event: KernelEvent, container: ContainerIdentity, uses: tuple[PackageUse, ...]) -> None:
        """Remember the natives among ``uses``, all proved by ``event``."""
        if not _NATIVE.search(event.path):
            return
        with self._lock:
            files = self._pending.get((event.pid, event.start_boottime))
            if files is None:
                if len(self._pending) >= MAX_PROCESSES:
                    self.dropped += len(uses)
                    return
                files = self._pending[event.pid, event.start_boottime] = []
            room = MAX_FILES - len(files)
            files += [(container, use) for use in uses[:room]]
            self.dropped += max(0, len(uses) - room)

    def settle(self, loaded: Callable[[ContainerIdentity, PackageUse], None]) -> None:
        """Look at the processes noted so far; call ``loaded`` with every use found mapped."""
        with self._lock:
            pending, self._pending = self._pending, {}
        for (pid, _start), noted in pending.items():
            mapped = set(self._mapped_files(pid))
            for container, use in noted:
                if use.path in mapped:
                    loaded(container, replace(use, evidence=Evidence.MAPPED))
