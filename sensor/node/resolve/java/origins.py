"""Loaded classes -> the archives they stand in."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sensor.model.package import PackageUse, Skipped, SkipReason
from sensor.node.resolve.archive import Archive, Budget
from sensor.node.resolve.java.cache import WeightedCache
from sensor.node.resolve.java.class_path import class_path_entries
from sensor.node.resolve.java.contents import read_manifest
from sensor.node.resolve.java.index import ClassIndex, hashed
from sensor.node.resolve.java.resolver import uses_of
from sensor.node.resolve.java.tree import DIRECTORY_BYTES, ENTRIES, SECONDS, read_tree
from sensor.node.rootfs import FileIdentity, RootFilesystem, Unreadable

_CACHE_BYTES = 24 << 20
_LAYER_BYTES = 1000
_CLASS_PATHS_BYTES = 2 << 20
_LASTING = frozenset({SkipReason.MALFORMED, SkipReason.ARCHIVE_BOUNDS})

_Key = tuple[str, FileIdentity]


@dataclass(frozen=True, slots=True)
class Origin:
    """One archive (outer or nested) and which of the wanted classes stand in it.

    ``location`` is ``/app/app.jar``, or ``/app/app.jar!/BOOT-INF/lib/x-1.0.jar`` for a nested one.
    ``classes`` are internal names (``org/x/Y``): those below META-INF/versions, BOOT-INF/classes and
    WEB-INF/classes stand under the name they are loaded by. ``own`` is the package that the archive is,
    None when it is the application itself or nothing tells; ``shaded`` are those shaded into it. All are
    graded bundled. ``natives`` are the shared libraries in it, without folder and suffix.
    """

    location: str
    classes: frozenset[str]
    own: PackageUse | None
    shaded: tuple[PackageUse, ...]
    natives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    location: str
    own: PackageUse | None
    shaded: tuple[PackageUse, ...]
    natives: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    index: ClassIndex
    places: dict[int, _Place]  # in class-path order


class Origins:
    """Finds classes in archives. For one thread. Holds at most some 26 MiB."""

    def __init__(self) -> None:
        self.archives: WeightedCache[_Key, _Known | Skipped] = WeightedCache(_CACHE_BYTES)
        self._hashed: tuple[Collection[str], dict[int, str]] = ((), {})
        self.class_paths: WeightedCache[_Key, tuple[str, ...]] = WeightedCache(_CLASS_PATHS_BYTES)

    def find(self, root: RootFilesystem, path: str, wanted: Collection[str]) -> tuple[Origin, ...] | Skipped:
        """Return where the ``wanted`` classes stand in the archive ``path`` and those inside it.

        In the order of the class path inside a fat jar; archives with none of them and no natives are left
        out. A class that stands in several is in each. Never raises for anything a container may contain.
        """
        try:
            key = (path, root.stat(path).identity)
            known = self.archives.get(key)
            if known is None:
                known = _read(root, path)
                if not isinstance(known, Skipped) or known.reason in _LASTING:
                    self.archives.put(key, known, _weight(known))
        except Unreadable as error:
            return error.skipped()
        if isinstance(known, Skipped):
            return known
        if self._hashed[0] is not wanted:  # the same for all archives of one look
            self._hashed = (wanted, hashed(wanted))
        found = known.index.find(self._hashed[1])
        return tuple(
            Origin(place.location, frozenset(found.get(number, ())), place.own, place.shaded, place.natives)
            for number, place in known.places.items()
            if number in found or place.natives
        )

    def class_path_of(self, root: RootFilesystem, path: str) -> tuple[str, ...]:
        """Return the absolute paths that the manifest's Class-Path of this jar names, at most 1,000.

        Empty when it has none or cannot be read.
        """
        try:
            key = (path, root.stat(path).identity)
            known = self.class_paths.get(key)
            if known is None:
                known = _class_path(root, path)
                self.class_paths.put(key, known, 300 + sum(map(len, known)) + 100 * len(known))
        except (Unreadable, OSError):
            return ()
        return known

    def sweep(self) -> None:
        """Drop what was not used since the last sweep."""
        self._hashed = ((), {})
        self.archives.sweep()
        self.class_paths.sweep()


def _read(root: RootFilesystem, path: str) -> _Known | Skipped:
    index = ClassIndex()
    places: dict[int, _Place] = {}
    try:
        with root.open(path) as file:
            for layer in read_tree(file, path, index.add):
                if layer.contents.has_classes or layer.contents.natives:
                    uses = uses_of(layer, path)
                    own, shaded = (uses[0], uses[1:]) if layer.identity.own else (None, uses)
                    places[layer.number] = _Place(path + layer.inside, own, shaded, layer.contents.natives)
    except Unreadable as error:
        return Skipped(error.reason, f"{path}: {error.detail}")
    except OSError as error:
        return Skipped(SkipReason.IO_ERROR, f"{path}: {error.strerror}")
    return _Known(index, places)


def _weight(known: _Known | Skipped) -> int:
    if isinstance(known, Skipped):
        return _LAYER_BYTES
    uses = sum(len(place.shaded) + 2 for place in known.places.values())
    return known.index.size + _LAYER_BYTES * uses


def _class_path(root: RootFilesystem, path: str) -> tuple[str, ...]:
    budget = Budget(entries=ENTRIES, directory=DIRECTORY_BYTES, seconds=SECONDS)
    with root.open(path) as file:
        return class_path_entries(path, read_manifest(Archive(file, budget)).class_path)
