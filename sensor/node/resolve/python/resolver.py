"""Python: an opened file -> the distribution that installed it.

The rule: the folder on sys.path that the file is below, its distributions, and what they say of
their files (``site``). A venv's own copy wins and vendored code belongs to its host, because
both follow from where the file is. The kernel may report only one file of a package's folder: all
files below a folder that is not shared have the owner of the folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sensor.model.package import Ecosystem, Evidence, Package, PackageUse, Skipped, SkipReason
from sensor.node.resolve.interface import Resolution
from sensor.node.resolve.lru import LruCache
from sensor.node.resolve.python.archive import Bundled, read_archive
from sensor.node.resolve.python.distribution import Distribution
from sensor.node.resolve.python.folders import Folders
from sensor.node.resolve.python.site import Site
from sensor.node.rootfs import RootFilesystem, Unreadable

_MODULES = (".py", ".pyc", ".so")
_ARCHIVES = (".egg", ".zip", ".whl", ".pex", ".pyz")
_VERSIONED_LIBRARY = re.compile(r"\.so\.[^/]*\Z")

_SITE_NAMES = ("/site-packages/", "/dist-packages/")
_INSTALLER = re.compile(r"/pip-[^/]+/[^/]*\.whl\Z", re.IGNORECASE)
_CLIMB = 40
_ARCHIVE_CACHE = 1024

_NOT_A_PACKAGE = Skipped(SkipReason.NOT_A_PACKAGE)


class PythonResolver:
    """See :class:`sensor.node.resolve.interface.Resolver`.

    Counters of the caches: ``archives`` and ``folders.sites`` have hits, misses and evictions.
    """

    def __init__(self) -> None:
        self.folders = Folders()
        self.archives: LruCache[tuple[str, tuple[int, int, int, int]], Bundled | Skipped] = LruCache(
            _ARCHIVE_CACHE
        )

    @property
    def ecosystem(self) -> Ecosystem:
        return Ecosystem.PYPI

    @property
    def opener_matters(self) -> bool:
        return True

    def claims(self, path: str) -> bool:
        name = path.lower()
        return (
            name.endswith(_MODULES)
            or name.endswith(_ARCHIVES)
            or (".so." in name and _VERSIONED_LIBRARY.search(name) is not None)
        )

    def resolve(self, root: RootFilesystem, path: str) -> Resolution:
        if not path.startswith("/"):
            return Skipped(SkipReason.PATH_TRUNCATED, path)
        try:
            bundled = self._archive(root, path) if path.lower().endswith(_ARCHIVES) else ()
            if isinstance(bundled, Skipped):
                return bundled
            uses = [PackageUse(package, evidence, path) for package, evidence in bundled]
            uses += [PackageUse(package, Evidence.OPENED, path) for package in self._installed(root, path)]
        except Unreadable as error:
            return error.skipped()
        return tuple(uses) or _NOT_A_PACKAGE

    def sweep(self) -> None:
        self.folders.sweep()
        self.archives.sweep()

    def _archive(self, root: RootFilesystem, path: str) -> Bundled | Skipped:
        if _INSTALLER.search(path):
            return Skipped(SkipReason.NOT_A_PACKAGE, "a wheel that pip unpacks")
        key = (path[-4:].lower(), root.stat(path).identity)
        known = self.archives.get(key)
        if known is None:
            try:
                known = read_archive(root, path)
            except Unreadable as error:
                known = error.skipped()
                if error.reason not in (SkipReason.MALFORMED, SkipReason.ARCHIVE_BOUNDS):
                    return known  # of this moment or this container, not of the file
            self.archives.put(key, known)
        return known

    def _installed(self, root: RootFilesystem, path: str) -> list[Package]:
        owners = self._owners(root, path)
        packages = [owner.package(root) for owner in owners]
        return [package for package in packages if package is not None]

    def _owners(self, root: RootFilesystem, path: str) -> tuple[Distribution, ...]:
        """Return who owns ``path``. Raises Unreadable when nobody does among what could be read."""
        end = _site_end(path)
        failure: Skipped | None = None
        if end:
            site = self.folders.get(root, path[:end])
            failure = site.failure
            if owners := site.owners(path):
                return owners
        owners, unread = self._climb(root, path, end)
        if not owners:
            owners = self._elsewhere(root, path, end)
        if not owners and (failure := failure or unread):
            raise Unreadable(failure.reason, failure.detail)
        return owners

    def _climb(
        self, root: RootFilesystem, path: str, end: int
    ) -> tuple[tuple[Distribution, ...], Skipped | None]:
        """Look for owners in the folders above ``path``, up to the site directory ending at ``end``.

        For ``--target`` folders, eggs, sources with an egg-info beside them, zip caches. The outermost
        that lists its files wins (a vendored copy may bring its own metadata), else the innermost.
        """
        nearest: tuple[Distribution, ...] = ()
        listed: tuple[Distribution, ...] = ()
        failure: Skipped | None = None
        for folder in _folders_above(path, end):
            try:
                site = self.folders.get(root, folder)
            except Unreadable as error:
                # Below a site directory that was read, a folder that is gone cannot have been one.
                if not (end and error.reason is SkipReason.VANISHED):
                    failure = failure or error.skipped()
                continue
            failure = failure or site.failure
            owners = site.owners(path)
            nearest = nearest or owners
            if owners and owners[0].recorded:
                listed = owners
        return listed or nearest, failure

    def _elsewhere(self, root: RootFilesystem, path: str, end: int) -> tuple[Distribution, ...]:
        twin = _twin(path[:end])
        if twin is not None:
            return _filled_from(self._site_if_there(root, twin), path)
        editable = None if end else self.folders.editable(root, path)
        return () if editable is None else (editable,)

    def _site_if_there(self, root: RootFilesystem, folder: str) -> Site:
        try:
            return self.folders.get(root, folder)
        except Unreadable:
            return Site(folder)


def _site_end(path: str) -> int:
    """Return where the nearest site directory in ``path`` ends, 0 when none is named as one."""
    return max(path.rfind(name) + len(name) - 1 if name in path else 0 for name in _SITE_NAMES)


def _folders_above(path: str, end: int) -> Iterator[str]:
    """Yield the folders above ``path``, nearest first, those below ``path[:end]`` only."""
    position = len(path)
    for _ in range(_CLIMB):
        position = path.rfind("/", 0, position)
        if position <= end:
            break
        yield path[:position]
    if not end and position == 0:
        yield "/"


def _twin(site: str) -> str | None:
    """Return the site directory of the other of lib and lib64."""
    head, name, tail = site.rpartition("/lib64/")
    if name:
        return f"{head}/lib/{tail}"
    head, name, tail = site.rpartition("/lib/")
    return f"{head}/lib64/{tail}" if name else None


def _filled_from(site: Site, path: str) -> tuple[Distribution, ...]:
    folder = path.rpartition("/")[0].removesuffix("/__pycache__")
    return tuple([owner for filled, owner in site.outside if filled == folder])
