"""Python: an opened file -> the distribution that installed it.

The rule: the folder on sys.path that the file is below, its distributions, and what they say of
their files (``site``). A venv's own copy wins and vendored code belongs to its host, because
both follow from where the file is. The kernel may report only one file of a package's folder: all
files below a folder that is not shared have the owner of the folder.
"""

from __future__ import annotations

import re

from sensor.model.package import Ecosystem, Evidence, Package, PackageUse, Skipped, SkipReason
from sensor.node.resolve.interface import Resolution
from sensor.node.resolve.python.archive import Bundled, read_archive
from sensor.node.resolve.python.contents import Contents, read_contents
from sensor.node.resolve.python.distribution import Distribution
from sensor.node.resolve.python.folders import SITES_WEIGHT, Folders
from sensor.node.resolve.python.identity import named_by_folder
from sensor.node.resolve.python.paths import (
    ARCHIVES,
    archives_above,
    extracted_egg,
    folders_above,
    is_module_or_archive,
    prefixed_sources,
    site_end,
    twin,
)
from sensor.node.resolve.python.remembered import Remembered
from sensor.node.resolve.python.site import Site
from sensor.node.rootfs import RootFilesystem, Unreadable

_INSTALLER = re.compile(r"/pip-[^/]+/[^/]*\.whl\Z", re.IGNORECASE)
# Opened by every application that PyInstaller made, for the standard library (PyInstaller/depend/utils.py,
# create_py3_base_library). Its packages are in the executable, by the names of modules and without versions.
_FROZEN = "/base_library.zip"
_ARCHIVE_CACHE = 64
_CONTENTS_CACHE = 8
# What the path of a module says whose folder is no folder: perhaps an archive without a suffix.
_NO_FOLDER = frozenset({SkipReason.VANISHED, SkipReason.NOT_REGULAR})


_NOT_A_PACKAGE = Skipped(SkipReason.NOT_A_PACKAGE)


class PythonResolver:
    """See :class:`sensor.node.resolve.interface.Resolver`.

    ``weight`` bounds what is kept of site directories, in table entries of about 150 bytes.
    Counters of the caches: ``archives``, ``contents`` and ``folders.sites`` have hits, misses and evictions.
    """

    def __init__(self, weight: int = SITES_WEIGHT) -> None:
        self.folders = Folders(weight)
        self.archives: Remembered[Bundled] = Remembered(_ARCHIVE_CACHE, read_archive)
        self.contents: Remembered[Contents] = Remembered(_CONTENTS_CACHE, read_contents)

    @property
    def ecosystem(self) -> Ecosystem:
        return Ecosystem.PYPI

    @property
    def opener_matters(self) -> bool:
        return True

    def claims(self, path: str) -> bool:
        return is_module_or_archive(path)

    def resolve(self, root: RootFilesystem, path: str) -> Resolution:
        if not path.startswith("/"):
            return Skipped(SkipReason.PATH_TRUNCATED, path)
        try:
            bundled = self._archive(root, path) if path.lower().endswith(ARCHIVES) else ()
            uses = [PackageUse(package, Evidence.BUNDLED, path) for package in bundled]
            uses += [PackageUse(package, Evidence.OPENED, path) for package in self._loaded(root, path)]
        except Unreadable as error:
            return error.skipped()
        if not uses and path.endswith(_FROZEN):
            return Skipped(SkipReason.OBFUSCATED, f"{path}: PyInstaller keeps modules in the executable")
        return tuple(uses) or _NOT_A_PACKAGE

    def sweep(self) -> None:
        self.folders.sweep()
        self.archives.sweep()
        self.contents.sweep()

    def _archive(self, root: RootFilesystem, path: str) -> Bundled:
        if _INSTALLER.search(path):
            raise Unreadable(SkipReason.NOT_A_PACKAGE, "a wheel that pip unpacks")
        return self.archives.get(root, path)

    def _loaded(self, root: RootFilesystem, path: str) -> list[Package]:
        """Return whose the module is. Raises Unreadable when nobody's, and something was unreadable."""
        for archive in archives_above(path):
            found = self._inside(root, archive, path)
            if found is not None:
                return found
        try:
            return self._installed(root, path) or self._by_name(root, path)
        except Unreadable as error:
            found = self._in_nameless_archive(root, path) if error.reason in _NO_FOLDER else None
            if found is None:
                raise
            return found

    def _inside(self, root: RootFilesystem, archive: str, path: str) -> list[Package] | None:
        """Return whose a module in ``archive`` is, ``None`` when that is no file. Raises Unreadable.

        What no distribution inside the archive owns belongs to the one that brought the archive.
        """
        try:
            if not root.stat(archive).is_regular:
                return None
        except Unreadable as error:
            if error.reason in _NO_FOLDER:
                return None
            raise
        inside = self.contents.get(root, archive)
        return list(inside.owners(path[len(archive) + 1 :])) or self._installed(root, archive)

    def _in_nameless_archive(self, root: RootFilesystem, path: str) -> list[Package] | None:
        """The same for an archive whose name does not say so: a zipped application may have any."""
        for folder in folders_above(path, 0):
            try:
                return self._inside(root, folder, path) if root.stat(folder).is_regular else None
            except Unreadable as error:
                if error.reason not in _NO_FOLDER:
                    raise
        return None

    def _by_name(self, root: RootFilesystem, path: str) -> list[Package]:
        """By what the path of a file in a cache says of where it came from."""
        egg = extracted_egg(path)
        if egg is not None:
            package = named_by_folder(egg)
            return [] if package is None else [package]
        for source in prefixed_sources(path):
            try:
                root.stat(source.rpartition("/")[0])
                found = self._installed(root, source)
            except Unreadable:
                continue
            if found:
                return found
        return []

    def _installed(self, root: RootFilesystem, path: str) -> list[Package]:
        packages = [owner.package(root) for owner in self._owners(root, path)]
        return [package for package in packages if package is not None]

    def _owners(self, root: RootFilesystem, path: str) -> tuple[Distribution, ...]:
        """Return who owns ``path``. Raises Unreadable when nobody does among what could be read."""
        end = site_end(path)
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
        for folder in folders_above(path, end):
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
        other = twin(path[:end])
        if other is not None:
            return _filled_from(self._site_if_there(root, other), path)
        editable = None if end else self.folders.editable(root, path)
        return () if editable is None else (editable,)

    def _site_if_there(self, root: RootFilesystem, folder: str) -> Site:
        try:
            return self.folders.get(root, folder)
        except Unreadable:
            return Site(folder)


def _filled_from(site: Site, path: str) -> tuple[Distribution, ...]:
    folder = path.rpartition("/")[0].removesuffix("/__pycache__")
    return tuple([owner for filled, owner in site.outside if filled == folder])
