"""Which deps.json speak for a file: those of the nearest folder upwards that has any.

An application, a plug-in with dependencies of its own and a shared framework each have theirs beside
their assemblies; assemblies for one kind of machine lie up to five folders below
(``runtimes/<rid>/lib/<tfm>/<culture>``).
"""

from __future__ import annotations

from sensor.node.resolve.dotnet.deps import LIMIT, Asset, Deps, NotDeps, parse_deps
from sensor.node.resolve.dotnet.weighed import WeighedCache
from sensor.node.resolve.lru import LruCache
from sensor.node.rootfs import FileIdentity, RootFilesystem, Unreadable

_SUFFIX = ".deps.json"
_CLIMB = 6
_FOLDERS = 4096
_DOCUMENTS = 256
_ASSETS = 60_000
"""Kept of all documents together, some 300 bytes each."""
_IN_A_FOLDER = 16
_CACHED_PATH_LENGTH = 512
_NONE = Deps()
# Folders of the system, large and without applications.
_SYSTEM = frozenset({"", "/usr", "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local", "/usr/local/lib"})


class Applications:
    """Caches what folders hold and what documents say; both are the same in all containers of an image."""

    def __init__(self) -> None:
        self.folders: LruCache[tuple[str, FileIdentity], tuple[str, ...]] = LruCache(_FOLDERS)
        self.documents: WeighedCache[FileIdentity, Deps] = WeighedCache(
            _DOCUMENTS, _ASSETS, lambda deps: len(deps.assets)
        )

    def sweep(self) -> None:
        self.folders.sweep()
        self.documents.sweep()

    def owners(self, root: RootFilesystem, path: str) -> tuple[Asset, ...] | None:
        """Return what the nearest deps.json says of ``path``, None where there is none at all.

        Empty when they do not name it. Several when the folder holds several applications that disagree.
        """
        folder = path
        # A native library is looked for beside its deps.json or below its runtimes folder.
        levels = _CLIMB if "/runtimes/" in path or ".so" not in path[path.rfind("/") :] else 1
        for _ in range(levels):
            folder = folder[: folder.rfind("/")]
            if folder in _SYSTEM:
                return None
            if documents := self._documents(root, folder):
                return _merged(documents, path[len(folder) + 1 :])
        return None

    def _documents(self, root: RootFilesystem, folder: str) -> list[Deps]:
        found = []
        for name in self._names(root, folder):
            try:
                deps = self._document(root, f"{folder}/{name}")
            except (Unreadable, NotDeps):
                deps = _NONE
            if deps.assets:
                found.append(deps)
        return found

    def _names(self, root: RootFilesystem, folder: str) -> tuple[str, ...]:
        try:
            key = (folder, root.stat(folder).identity)
            names = self.folders.get(key)
            if names is None:
                entries = root.list(folder)
                names = tuple(
                    sorted(
                        entry.name
                        for entry in entries
                        if entry.name.lower().endswith(_SUFFIX) and not entry.is_directory
                    )[:_IN_A_FOLDER]
                )
                if len(folder) <= _CACHED_PATH_LENGTH:
                    self.folders.put(key, names)
        except Unreadable:
            return ()
        return names

    def _document(self, root: RootFilesystem, path: str) -> Deps:
        key = root.stat(path).identity
        deps = self.documents.get(key)
        if deps is None:
            try:
                deps = parse_deps(root.read(path, LIMIT))
            except NotDeps:
                deps = _NONE  # as bad the next time
            self.documents.put(key, deps)
        return deps


def _merged(documents: list[Deps], relative: str) -> tuple[Asset, ...]:
    found: list[Asset] = []
    for deps in documents:
        for asset in deps.owners(relative):
            if all(asset.package != other.package for other in found):
                found.append(asset)
    return tuple(found)
