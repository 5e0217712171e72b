"""Node.js: an opened file -> the npm package it was installed with.

The rule: the nearest package.json upward that names a package, and the name inside it, for an alias
(``npm i lo@npm:lodash``) unpacks into a folder of another name. Never further up than the folder the
package was installed into; there, without a usable package.json, the folder's own name is all we know.

Below that folder packages keep package.json files of their own: ``{"type": "module"}`` without a
name, and stubs for subpaths (``preact/hooks`` says ``preact-hooks``, private). One of those speaks
for itself only when a registry could have delivered it: it has a name and a version and is not private.

A file outside of every install folder is the application's own or a workspace's: no dependency.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from sensor.model.package import Ecosystem, Evidence, Package, PackageUse, Skipped, SkipReason
from sensor.node.resolve.interface import Resolution
from sensor.node.resolve.lru import LruCache
from sensor.node.resolve.node.archive import BadArchive, read_manifest
from sensor.node.resolve.node.manifest import NAMELESS, Manifest, is_name, npm_package, parse_manifest
from sensor.node.resolve.node.path import InstallFolder, install_folder, is_claimed, is_yarn_archive
from sensor.node.rootfs import RootFilesystem, Unreadable

MANIFEST_LIMIT = 1 << 20
"""Bytes of a package.json. The largest in the registry's popular packages have some 100 KiB."""

REVALIDATE_SECONDS = 1.0
"""How long a folder's package is believed without looking at its package.json again."""

_FOLDERS = 8192
_MANIFESTS = 8192
_CACHED_PATH_LENGTH = 512  # longer ones are looked up each time, so that the caches stay a few MiB
_CLIMB = 32  # folders looked at below the install folder; deeper ones ask the install folder next

# A package.json that is not there, or is a folder or a device, is as good as none.
_ABSENT = frozenset(
    {SkipReason.VANISHED, SkipReason.NOT_REGULAR, SkipReason.ESCAPES_ROOT, SkipReason.MALFORMED}
)

_Owner = Package | Skipped
_ManifestKey = tuple[str, tuple[int, int, int, int]]


@dataclass(frozen=True, slots=True)
class _Known:
    owner: _Owner
    until: float


class NodeResolver:
    """See :class:`sensor.node.resolve.interface.Resolver`. ``clock`` gives seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._roots: WeakKeyDictionary[RootFilesystem, int] = WeakKeyDictionary()
        self._tokens = itertools.count()
        # Which package a folder belongs to, in one root; briefly believed.
        self.folders: LruCache[tuple[int, str], _Known] = LruCache(_FOLDERS)
        # What a package.json (or an archive) says: the same in all containers of one image.
        self.manifests: LruCache[_ManifestKey, Manifest] = LruCache(_MANIFESTS)

    @property
    def ecosystem(self) -> Ecosystem:
        return Ecosystem.NPM

    @property
    def opener_matters(self) -> bool:
        return True

    def claims(self, path: str) -> bool:
        return is_claimed(path)

    def sweep(self) -> None:
        self.folders.sweep()
        self.manifests.sweep()

    def resolve(self, root: RootFilesystem, path: str) -> Resolution:
        if not path.startswith("/"):
            return Skipped(SkipReason.PATH_TRUNCATED, path)
        owner = self._archive(root, path) if path.lower().endswith(".zip") else self._installed(root, path)
        if isinstance(owner, Skipped):
            return owner
        return (PackageUse(owner, Evidence.OPENED, path),)

    def _installed(self, root: RootFilesystem, path: str) -> _Owner:
        install = install_folder(path)
        if install is None:
            return Skipped(SkipReason.NOT_A_PACKAGE)
        token, now = self._token(root), self._clock()
        known = self._fresh(token, path[: path.rfind("/")], now)
        return (known or self._climb(root, token, now, _upward(path, install), install)).owner

    def _climb(
        self, root: RootFilesystem, token: int, now: float, folders: list[str], install: InstallFolder
    ) -> _Known:
        """Ask folder after folder; all that were passed on the way then have the same owner."""
        known: _Known | None = None
        for passed, folder in enumerate(folders):
            known = self._fresh(token, folder, now)
            if known is None and (owner := self._declared(root, folder, install)) is not None:
                known = _Known(owner, now + REVALIDATE_SECONDS)
            if known is not None:
                del folders[passed + 1 :]
                break
        known = known or _Known(_named_by_folder(root, install), now + REVALIDATE_SECONDS)
        for folder in folders:
            self._remember(token, folder, known)
        return known

    def _archive(self, root: RootFilesystem, path: str) -> _Owner:
        if not is_yarn_archive(path):
            return Skipped(SkipReason.NOT_A_PACKAGE)
        token, now = self._token(root), self._clock()
        known = self._fresh(token, path, now)
        if known is None:
            known = _Known(self._read_archive(root, path), now + REVALIDATE_SECONDS)
            self._remember(token, path, known)
        return known.owner

    def _token(self, root: RootFilesystem) -> int:
        """A number for a root, never given twice, so that entries of a closed one cannot be hit."""
        token = self._roots.get(root)
        if token is None:
            token = self._roots[root] = next(self._tokens)
        return token

    def _fresh(self, token: int, path: str, now: float) -> _Known | None:
        known = self.folders.get((token, path))
        return known if known is not None and known.until > now else None

    def _remember(self, token: int, path: str, known: _Known) -> None:
        if len(path) <= _CACHED_PATH_LENGTH:
            self.folders.put((token, path), known)

    def _declared(self, root: RootFilesystem, folder: str, install: InstallFolder) -> _Owner | None:
        """What the package.json in ``folder`` says, None when it says nothing about a package."""
        try:
            manifest = self._manifest(root, f"{folder}/package.json")
        except Unreadable as error:
            return None if error.reason in _ABSENT else error.skipped()
        if folder == install.path or manifest.published:
            return manifest.package
        return None

    def _manifest(self, root: RootFilesystem, path: str) -> Manifest:
        key = (path, root.stat(path).identity)
        manifest = self.manifests.get(key)
        if manifest is None:
            manifest = parse_manifest(root.read(path, MANIFEST_LIMIT))
            self._keep(key, manifest)
        return manifest

    def _read_archive(self, root: RootFilesystem, path: str) -> _Owner:
        try:
            key = (path, root.stat(path).identity)
            manifest = self.manifests.get(key)
            if manifest is None:
                with root.open(path) as file:
                    manifest = parse_manifest(read_manifest(file, MANIFEST_LIMIT))
                self._keep(key, manifest)
        except Unreadable as error:
            return error.skipped()
        except BadArchive as error:
            return Skipped(error.reason, f"{path}: {error.detail}")
        except OSError as error:
            return Skipped(SkipReason.IO_ERROR, f"{path}: {error.strerror}")
        return manifest.package or Skipped(SkipReason.MALFORMED, f"{path}: its package.json has no name")

    def _keep(self, key: _ManifestKey, manifest: Manifest) -> None:
        if len(key[0]) <= _CACHED_PATH_LENGTH:
            # One object for all the nameless ones: packages ship hundreds of them.
            self.manifests.put(key, NAMELESS if manifest.package is None else manifest)


def _upward(path: str, install: InstallFolder) -> list[str]:
    """The folders from the file's own up to the install folder, which is always among them."""
    folders: list[str] = []
    folder = path[: path.rfind("/")]
    while len(folder) > len(install.path) and len(folders) < _CLIMB:
        folders.append(folder)
        folder = folder[: folder.rfind("/")]
    folders.append(install.path)
    return folders


def _named_by_folder(root: RootFilesystem, install: InstallFolder) -> _Owner:
    if install.name is None or not is_name(install.name):
        return Skipped(SkipReason.NOT_A_PACKAGE)
    try:
        # A package without a package.json is still there; an unmounted volume has no folder at all.
        root.stat(install.path)
    except Unreadable as error:
        return error.skipped()
    return npm_package(install.name, None)
