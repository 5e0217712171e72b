"""What every probe is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from sensor.model.container import ContainerIdentity
from sensor.model.package import PackageUse
from sensor.node.rootfs import RootFilesystem

ENDED_UNASKED = "ended_unasked"
"""Coverage reason: a process ended before or while it was asked what it used of an archive it opened."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A process to be asked. ``start_boottime`` is nanoseconds of CLOCK_BOOTTIME, as in kernel events."""

    pid: int
    start_boottime: int
    executable_name: str
    mount_namespace: int
    mount_namespace_id: int
    container: ContainerIdentity


@dataclass(frozen=True, slots=True)
class Finding:
    """What a process told. ``problem`` is why it is not all, a coverage reason; empty when it is whole."""

    uses: tuple[PackageUse, ...]
    problem: str = ""


class Probe(Protocol):
    """Reads one runtime's own list of what is loaded. One thread calls it, never that of the events."""

    @property
    def name(self) -> str:
        """For metrics and logs: ``hotspot``, ``cpython``."""
        ...

    def stamp(self, subject: Subject, root: RootFilesystem) -> object | None:
        """Return something cheap to read that is another once the process has loaded more.

        ``None`` when there is no such thing: the process is then asked in full each time.
        """
        ...

    def look(self, subject: Subject, root: RootFilesystem, files: Collection[str]) -> Finding | None:
        """Return what the process has loaded; ``None`` when it is not of this runtime.

        ``files`` are those of its opens that raised the question, absolute in ``root``, in their order.
        Passive, bounded in bytes and seconds. Never raises for anything a process may be.
        """
        ...

    def sweep(self) -> None:
        """Drop what caches hold that was not used since the last sweep."""
        ...
