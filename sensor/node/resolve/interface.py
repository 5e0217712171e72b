"""What every language resolver is."""

from __future__ import annotations

from typing import Protocol

from sensor.model.package import Ecosystem, PackageUse, Skipped
from sensor.node.rootfs import RootFilesystem

Resolution = tuple[PackageUse, ...] | Skipped
"""The packages a file proves, never empty, or why it proves none."""


class Resolver(Protocol):
    """Maps a file that a runtime opened to the packages it proves loaded.

    One instance serves all containers and is called from one thread at a time. Caches are bounded
    and keyed by what makes a file the same across containers of one image
    (:attr:`sensor.node.rootfs.FileStat.identity`), never by container.
    """

    @property
    def ecosystem(self) -> Ecosystem: ...

    @property
    def opener_matters(self) -> bool:
        """Whether an open counts only when the opener hosts this ecosystem's runtime.

        Where it does not (a Go library in a program of any language), the uses are graded
        ``mapped`` and count once the process has the file mapped.
        """
        ...

    def claims(self, path: str) -> bool:
        """Whether a file of this name could be evidence here. Pure, no I/O, well under 1 us."""
        ...

    def resolve(self, root: RootFilesystem, path: str) -> Resolution:
        """Return the packages that loading ``path`` proves.

        ``path`` is absolute in ``root`` and claimed. The opener is already known to be this
        ecosystem's runtime, if that matters. Never raises for anything a container may contain.
        ``ASK_PROCESS``, like any ``bundled`` use, has the process itself asked: see
        :mod:`sensor.node.introspect`.
        """
        ...

    def sweep(self) -> None:
        """Drop what caches hold that was not used since the last sweep: its containers have ended.

        Called every half minute or so, from the thread that resolves.
        """
        ...


class ProgramResolver(Protocol):
    """Maps a program that was executed to the packages inside it: Go, single-file .NET.

    As :class:`Resolver` in all else; there is no opener, running it is the evidence.
    """

    @property
    def ecosystem(self) -> Ecosystem: ...

    def resolve_program(self, root: RootFilesystem, path: str) -> Resolution:
        """Return the packages that executing ``path`` proves; ``NOT_A_PACKAGE`` for any other ELF."""
        ...

    def sweep(self) -> None:
        """As :meth:`Resolver.sweep`."""
        ...
