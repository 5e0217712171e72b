"""Node.js: an opened file -> the npm packages whose code it is.

The first is the one it was installed with: the package.json in the folder that a package manager
unpacked, and the name inside it, for an alias (``npm i lo@npm:lodash``) unpacks into a folder of another
name. There, without a usable package.json, the folder's own name is all we know.

Below that folder packages keep package.json files of their own: ``{"type": "module"}`` without a
name, stubs for subpaths (``preact/hooks`` says ``preact-hooks``, private), copies of their own, and whole
other packages (``next/dist/compiled/react``). The nearest one that a registry could have delivered, with
a name that is not the host's, a version, and not private, is a package that its host carries along: its
code is loaded as well, and both are reported. A scan of installed packages names the host alone (Snyk's,
but for pnpm's store); one of all package.json files names both.

A file outside of every install folder is the application's own or a workspace's: no dependency.

A program that a package brings (``@esbuild/linux-x64/bin/esbuild``) proves it when it is executed.

Not told apart, for the kernel sees one and the same open: code that node reads without running it.
Bundlers do that, and ``npm ci`` in a running container with the scripts that packages bring for
``node_modules/.bin`` (bin-links, fix-bin: it looks at the first line), 4 of 189 packages of an Express
application.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

from sensor.model.package import Ecosystem, Evidence, Package, PackageUse, Skipped, SkipReason
from sensor.node.resolve.interface import Resolution
from sensor.node.resolve.lru import LruCache
from sensor.node.resolve.node.archive import BadArchive, read_manifest
from sensor.node.resolve.node.manifest import NAMELESS, Manifest, is_name, npm_package, parse_manifest
from sensor.node.resolve.node.path import InstallFolder, install_folder, is_claimed, is_yarn_archive
from sensor.node.rootfs import FileIdentity, RootFilesystem, Unreadable

MANIFEST_LIMIT = 1 << 20
"""Bytes of a package.json. The largest in the registry's popular packages have some 100 KiB."""

REVALIDATE_SECONDS = 1.0
"""How long a folder's package is believed without looking at its package.json again."""

_FOLDERS = 8192
_MANIFESTS = 8192
_CACHED_PATH_LENGTH = 512  # longer ones are looked up each time, so that the caches stay a few MiB
_CLIMB = 32  # folders looked at, from the file upward, below the install folder
_NOTHING = Skipped(SkipReason.NOT_A_PACKAGE)

# A package.json that is not there, or is a folder or a device, is as good as none.
_ABSENT = frozenset(
    {SkipReason.VANISHED, SkipReason.NOT_REGULAR, SkipReason.ESCAPES_ROOT, SkipReason.MALFORMED}
)

_Owner = Package | Skipped
_ManifestKey = tuple[str, FileIdentity]


@dataclass(frozen=True, slots=True)
class _Known:
    """What the files directly in a folder belong to, until ``until`` on the resolver's clock."""

    host: _Owner
    carried: Package | None
    until: float

    def uses(self, evidence: Evidence, path: str) -> Resolution:
        host, carried = self.host, self.carried
        if isinstance(host, Package):
            own = PackageUse(host, evidence, path)
            return (own,) if carried is None else (own, PackageUse(carried, evidence, path))
        if carried is None or host.reason.loses_facts:
            return host
        return (PackageUse(carried, evidence, path),)


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
        if path.lower().endswith(".zip"):
            return self._archive(root, path).uses(Evidence.OPENED, path)
        return self._installed(root, path, Evidence.OPENED)

    def resolve_program(self, root: RootFilesystem, path: str) -> Resolution:
        """See :class:`sensor.node.resolve.interface.ProgramResolver`."""
        return self._installed(root, path, Evidence.EXECUTED)

    def _installed(self, root: RootFilesystem, path: str, evidence: Evidence) -> Resolution:
        install = install_folder(path)
        if install is None:
            return _NOTHING
        token, now = self._token(root), self._clock()
        known = self._fresh(token, path[: path.rfind("/")], now)
        return (known or self._look(root, token, now, _upward(path, install), install)).uses(evidence, path)

    def _look(
        self, root: RootFilesystem, token: int, now: float, folders: list[str], install: InstallFolder
    ) -> _Known:
        """From the nearest folder that is known, or the install folder, down to the file's own."""
        known: _Known | None = None
        unknown: list[str] = []
        for folder in folders:
            known = self._fresh(token, folder, now)
            if known is not None:
                break
            unknown.append(folder)
        if known is None:
            known = _Known(self._host(root, install), None, now + REVALIDATE_SECONDS)
            self._remember(token, unknown.pop(), known)
        for folder in reversed(unknown):
            carried = self._carried(root, folder, known.host)
            known = known if carried is None else replace(known, carried=carried)
            self._remember(token, folder, known)
        return known

    def _archive(self, root: RootFilesystem, path: str) -> _Known:
        if not is_yarn_archive(path):
            return _Known(_NOTHING, None, 0.0)
        token, now = self._token(root), self._clock()
        known = self._fresh(token, path, now)
        if known is None:
            known = _Known(self._read_archive(root, path), None, now + REVALIDATE_SECONDS)
            self._remember(token, path, known)
        return known

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

    def _host(self, root: RootFilesystem, install: InstallFolder) -> _Owner:
        try:
            package = self._manifest(root, f"{install.path}/package.json").package
        except Unreadable as error:
            if error.reason not in _ABSENT:
                return error.skipped()
            package = None
        return package or _named_by_folder(root, install)

    def _carried(self, root: RootFilesystem, folder: str, host: _Owner) -> Package | None:
        try:
            manifest = self._manifest(root, f"{folder}/package.json")
        except Unreadable:
            return None
        package = manifest.package if manifest.published else None
        if package is None or (isinstance(host, Package) and package.name == host.name):
            return None
        return package

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
        except BadArchive as error:  # an Unreadable too, that does not know the path
            return Skipped(error.reason, f"{path}: {error.detail}")
        except Unreadable as error:
            return error.skipped()
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
        return _NOTHING
    try:
        # A package without a package.json is still there; an unmounted volume has no folder at all.
        root.stat(install.path)
    except Unreadable as error:
        return error.skipped()
    return npm_package(install.name, None)
