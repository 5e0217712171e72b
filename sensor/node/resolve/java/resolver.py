"""Java: an opened file -> the Maven packages in it.

An open of a jar proves no class of it loaded: a JVM opens what is on its class path and looks into it
until it finds a class. So all that an archive holds is ``bundled``, and the process is asked which classes
it has (see :mod:`sensor.node.introspect`). It is asked as well when an archive names no package, for its
manifest may lead to others, and when the JVM starts: lib/modules, rt.jar, an archive of shared classes
(.jsa), from which classes load without an open of their jar.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from weakref import WeakKeyDictionary

from sensor.model.package import Ecosystem, Evidence, PackageUse, Skipped, SkipReason
from sensor.node.resolve.interface import Resolution
from sensor.node.resolve.java.cache import WeightedCache
from sensor.node.resolve.java.contents import ARCHIVES
from sensor.node.resolve.java.exploded import project_of
from sensor.node.resolve.java.identity import is_jdk
from sensor.node.resolve.java.package import maven_package
from sensor.node.resolve.java.tree import Layer, read_tree
from sensor.node.resolve.lru import LruCache
from sensor.node.rootfs import FileIdentity, RootFilesystem, Unreadable

REVALIDATE_SECONDS = 1.0
"""How long the project of a folder of classes is believed without looking again."""

_CLASS = ".class"
_SHARED_CLASSES = ".jsa"
_MODULE = ".jmod"
_RUNTIME_IMAGE = "/lib/modules"
_CLAIMED = (*ARCHIVES, _CLASS, _SHARED_CLASSES, _MODULE, _RUNTIME_IMAGE)
_START_OF_8 = "rt.jar"

_CACHE_BYTES = 16 << 20
_USE_BYTES = 600  # of one use with its package and strings, and of a key
_FOLDERS = 4096
_CACHED_PATH_LENGTH = 512

# Of the file, so that it is no other at the next look.
_LASTING = frozenset({SkipReason.MALFORMED, SkipReason.ARCHIVE_BOUNDS, SkipReason.ASK_PROCESS})
_LASTING_NOTHING = frozenset({SkipReason.NOT_A_PACKAGE}) | _LASTING


class JavaResolver:
    """See :class:`sensor.node.resolve.interface.Resolver`. ``clock`` gives seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._roots: WeakKeyDictionary[RootFilesystem, int] = WeakKeyDictionary()
        self._tokens = itertools.count()
        # What an archive holds: the same in all containers of one image.
        self.archives: WeightedCache[tuple[str, FileIdentity], Resolution] = WeightedCache(_CACHE_BYTES)
        # What a folder of classes belongs to, in one root; briefly believed.
        self.folders: LruCache[tuple[int, str], tuple[Resolution, float]] = LruCache(_FOLDERS)

    @property
    def ecosystem(self) -> Ecosystem:
        return Ecosystem.MAVEN

    @property
    def opener_matters(self) -> bool:
        return True

    def claims(self, path: str) -> bool:
        return path.lower().endswith(_CLAIMED)

    def sweep(self) -> None:
        self.archives.sweep()
        self.folders.sweep()

    def resolve(self, root: RootFilesystem, path: str) -> Resolution:
        if not path.startswith("/"):
            return Skipped(SkipReason.PATH_TRUNCATED, path)
        name = path.lower()
        if name.endswith((_SHARED_CLASSES, _RUNTIME_IMAGE)):
            return Skipped(SkipReason.ASK_PROCESS, "a JVM starts")
        if name.endswith(_MODULE):
            return Skipped(SkipReason.NOT_A_PACKAGE, "modules are linked, not loaded from")
        try:
            return self._class(root, path) if name.endswith(_CLASS) else self._archive(root, path)
        except Unreadable as error:
            return error.skipped()

    def _archive(self, root: RootFilesystem, path: str) -> Resolution:
        key = (path, root.stat(path).identity)
        known = self.archives.get(key)
        if known is None:
            known = _read(root, path)
            lasting = not isinstance(known, Skipped) or known.reason in _LASTING_NOTHING
            if lasting and len(path) <= _CACHED_PATH_LENGTH:
                uses = 1 if isinstance(known, Skipped) else len(known)
                self.archives.put(key, known, uses * _USE_BYTES)
        return known

    def _class(self, root: RootFilesystem, path: str) -> Resolution:
        folder, now = path[: path.rfind("/")], self._clock()
        key = (self._token(root), folder)
        known = self.folders.get(key)
        if known is not None and known[1] > now:
            return known[0]
        project = project_of(root, folder)
        found: Resolution = Skipped(SkipReason.ASK_PROCESS, "a class of the application")
        if project is not None:
            found = (PackageUse(maven_package(project), Evidence.OPENED, path),)
        if len(folder) <= _CACHED_PATH_LENGTH:
            self.folders.put(key, (found, now + REVALIDATE_SECONDS))
        return found

    def _token(self, root: RootFilesystem) -> int:
        """A number for a root, never given twice, so that entries of a closed one cannot be hit."""
        token = self._roots.get(root)
        if token is None:
            token = self._roots[root] = next(self._tokens)
        return token


def uses_of(layer: Layer, path: str) -> tuple[PackageUse, ...]:
    """The packages of one archive: its own first, then those shaded into it."""
    own, shaded = layer.identity.own, layer.identity.shaded
    return tuple(
        PackageUse(maven_package(found), Evidence.BUNDLED, path + layer.inside)
        for found in ((own, *shaded) if own else shaded)
    )


def _read(root: RootFilesystem, path: str) -> Resolution:
    found: dict[str, PackageUse] = {}
    part_of_jdk = False
    try:
        with root.open(path) as file:
            for layer in read_tree(file, path):
                part_of_jdk = part_of_jdk or is_jdk(layer.contents.manifest)
                for use in uses_of(layer, path):
                    found.setdefault(use.package.purl, use)
    except Unreadable as error:
        return Skipped(error.reason, f"{path}: {error.detail}")
    except OSError as error:
        return Skipped(SkipReason.IO_ERROR, f"{path}: {error.strerror}")
    if found:
        return tuple(found.values())
    if part_of_jdk and not path.endswith(f"/{_START_OF_8}"):
        return Skipped(SkipReason.NOT_A_PACKAGE, "part of the Java runtime")
    return Skipped(SkipReason.ASK_PROCESS, "names no package")
