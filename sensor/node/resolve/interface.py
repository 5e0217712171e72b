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

    def claims(self, path: str) -> bool:
        """Whether a file of this name could be evidence here. Pure, no I/O, well under 1 us."""
        ...

    def resolve(self, root: RootFilesystem, path: str) -> Resolution:
        """Return the packages that loading ``path`` proves.

        ``path`` is absolute in ``root`` and claimed. The opener is already known to be this
        ecosystem's runtime. Never raises for anything a container may contain.
        """
        ...

    def sweep(self) -> None:
        """Drop what caches hold that was not used since the last sweep: its containers have ended.

        Called every half minute or so, from the thread that resolves.
        """
        ...
