"""The archives that a JVM may have taken its classes from.

Those it was seen to open, those it has open or mapped, and those on its class path: with an archive of
shared classes (AppCDS) a jar gives classes without ever being opened.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sensor.model.package import SkipReason
from sensor.node.backfill.hotspot_launch import read_launch
from sensor.node.backfill.hsperf import PerfData
from sensor.node.backfill.processes import ProcessFile
from sensor.node.resolve.java.contents import ARCHIVES
from sensor.node.resolve.java.origins import Origins
from sensor.node.rootfs import FileIdentity, RootFilesystem, Unreadable

ARCHIVES_MAX = 4000
"""Of one process; an application server has about 1,500."""

_ARGUMENT_FILE_BYTES = 1 << 20
_OF_THE_JDK = frozenset({"rt.jar", "jrt-fs.jar", "modules"})


@dataclass(slots=True)
class Candidates:
    """``paths`` are absolute in the container; those on the class path come first, in its order."""

    paths: list[str] = field(default_factory=list)
    class_path: set[str] = field(default_factory=set)
    unreadable: bool = False
    """There are more that cannot be looked into: deleted while open, or over the bound."""


class Launched:
    """What /proc tells of a JVM. Read before its memory, so that it is of the same process."""

    def __init__(self, pid: int, root: RootFilesystem, published: PerfData | None, proc: str) -> None:
        self._root = root
        try:
            self.folder = os.readlink(f"{proc}/{pid}/cwd")
        except OSError:
            self.folder = "/"
        self.launch = read_launch(pid, self._argument_file, proc)
        told = published.class_path if published is not None else None
        self.class_path = tuple(told.split(":")) if told is not None else self.launch.class_path or ()

    def _argument_file(self, name: str) -> str | None:
        try:
            content = self._root.read(self.absolute(name), _ARGUMENT_FILE_BYTES)
        except Unreadable:
            return None
        return content.decode("utf-8", "surrogateescape")

    def absolute(self, path: str) -> str:
        """Return a path as the process means it; a folder's without the slash at its end."""
        return posixpath.normpath(posixpath.join("/", self.folder, path)).replace("//", "/")


def candidates(
    launched: Launched, root: RootFilesystem, used: Iterable[str | ProcessFile], origins: Origins
) -> Candidates:
    """Return what classes may come from. ``used``: seen opened, open, or mapped, in this order."""
    gathering = _Gathering(root, origins)
    gathering.know(used)
    for entry in launched.class_path:
        gathering.add_entry(launched.absolute(entry))
    gathering.found.class_path.update(gathering.found.paths)
    for entry in launched.launch.others:
        path = launched.absolute(entry)
        gathering.add_entry(path)
        gathering.add_folder(path)  # of modules
    gathering.add_known()
    return gathering.found


class _Gathering:
    """The same file by two names is one archive, under the name that the kernel gave it."""

    def __init__(self, root: RootFilesystem, origins: Origins) -> None:
        self._root = root
        self._origins = origins
        self._names: dict[FileIdentity, str] = {}
        self._added: set[str] = set()
        self.found = Candidates()

    def know(self, used: Iterable[str | ProcessFile]) -> None:
        for file in used:
            if not file.lower().endswith(ARCHIVES):
                continue
            if getattr(file, "deleted", False):
                self.found.unreadable = True
                continue
            identity = self._identity(file)
            if identity is not None:
                self._names.setdefault(identity, str(file))

    def add_known(self) -> None:
        for path in self._names.values():
            self._add(path)

    def add_entry(self, path: str) -> None:
        """Add an entry of a class path, and what its manifest puts behind it."""
        if posixpath.basename(path) == "*":
            self.add_folder(posixpath.dirname(path))
            return
        behind = [path]
        while behind:
            identity = self._identity(behind[0])
            name = self._names.get(identity, behind[0]) if identity is not None else ""
            behind = behind[1:]
            if name and self._add(name):
                behind = [*self._origins.class_path_of(self._root, name), *behind]

    def add_folder(self, path: str) -> None:
        """Add the jars of a folder (OpenJDK: libjli/wildcard.c, of ``.jar`` and ``.JAR`` only)."""
        try:
            entries = self._root.list(path)
        except Unreadable as error:
            if error.reason not in (SkipReason.VANISHED, SkipReason.NOT_REGULAR):
                self.found.unreadable = True
            return
        for entry in entries:
            if entry.name.endswith((".jar", ".JAR")) and not entry.is_directory:
                self.add_entry(posixpath.join(path, entry.name))

    def _add(self, path: str) -> bool:
        if path in self._added or posixpath.basename(path) in _OF_THE_JDK:
            return False
        if len(self._added) >= ARCHIVES_MAX:
            self.found.unreadable = True
            return False
        self._added.add(path)
        self.found.paths.append(path)
        return True

    def _identity(self, path: str) -> FileIdentity | None:
        """None if it is no file that classes could be in: on a class path also what is not there stands."""
        try:
            status = self._root.stat(path)
        except Unreadable:
            return None
        return status.identity if status.is_regular else None


def files_in_order(*groups: Iterable[str]) -> Iterator[str]:
    """Yield each file once."""
    seen: set[str] = set()
    for file in (file for group in groups for file in group):
        if file not in seen:
            seen.add(file)
            yield file
