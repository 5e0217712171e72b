"""An installed distribution: its metadata on disk, and what it says about its files."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from sensor.model.package import Package, SkipReason
from sensor.node.resolve.python.direct_url import project_of
from sensor.node.resolve.python.identity import named_by_folder, normalise, read_package
from sensor.node.resolve.python.record import FileList
from sensor.node.rootfs import Entry, RootFilesystem, Unreadable

log = logging.getLogger(__name__)

_LIST_BYTES = 1 << 16
_NAMES = 1000
# Reasons that lie with the moment and not with the file: the next look may find it readable.
_PASSING = frozenset({SkipReason.IO_ERROR, SkipReason.TOO_SLOW})


@dataclass(slots=True, eq=False)
class Distribution:
    """``entry`` is the metadata folder (or, from distutils, file) in the site directory ``site``.

    ``recorded`` is set when the distribution lists its own files; otherwise ownership follows from
    module names, which is weaker.
    """

    site: str
    entry: str
    is_file: bool = False
    recorded: bool = False
    _package: Package | None = field(default=None, init=False)
    _is_interpreter: bool = field(default=False, init=False)

    @property
    def name(self) -> str:
        """The name in the entry's own name: not as written, but the same once normalised."""
        return self._folder.rpartition(".")[0].partition("-")[0]

    @property
    def metadata(self) -> str:
        """The path of what holds name and version."""
        path = self.path("")
        if self.is_file:
            return path.rstrip("/")
        return path + ("METADATA" if self.entry.lower().endswith(".dist-info") else "PKG-INFO")

    @property
    def file_list(self) -> FileList:
        if self.entry.lower().endswith(".dist-info"):
            return FileList(self.path("RECORD"), self.site, self.site)
        return FileList(self.path("installed-files.txt"), self.path("").rstrip("/"), self.site)

    def path(self, name: str) -> str:
        return f"{self.site.rstrip('/')}/{self.entry}/{name}"

    def package(self, root: RootFilesystem) -> Package | None:
        """Return the package, read once; ``None`` for the interpreter itself. Raises Unreadable.

        Where the metadata is missing or no metadata, the folder's name speaks, as it does for pip
        (pip/_internal/metadata/importlib/_dists.py, ``_get_dist_name_version``); the log says so.
        """
        if self._package is None and not self._is_interpreter:
            try:
                with root.open(self.metadata) as file:
                    self._package = read_package(file, self.metadata)
            except Unreadable as error:
                self._package = None if error.reason in _PASSING else named_by_folder(self._folder)
                if self._package is None:
                    raise
                log.debug("%s names its package itself: %s", self.path("").rstrip("/"), error)
            self._is_interpreter = self._package is None
        return self._package

    @property
    def _folder(self) -> str:
        return self.site.rpartition("/")[2] if self.entry == "EGG-INFO" else self.entry

    def top_levels(self, root: RootFilesystem) -> tuple[str, ...]:
        """Return the modules named in top_level.txt."""
        return self._names(root, "top_level.txt")

    def namespaces(self, root: RootFilesystem) -> tuple[str, ...]:
        """Return the modules that setuptools knew to be shared with other distributions."""
        return self._names(root, "namespace_packages.txt")

    def _names(self, root: RootFilesystem, name: str) -> tuple[str, ...]:
        if self.is_file:
            return ()
        try:
            text = root.read(self.path(name), _LIST_BYTES).decode("utf-8", "replace")
        except Unreadable:
            return ()
        names = (line.strip().strip("/") for line in text.splitlines()[:_NAMES])
        return tuple(name for name in names if name and ".." not in name)

    def editable_source(self, root: RootFilesystem) -> str | None:
        """Return the project folder of an editable install (PEP 610), else ``None``."""
        if not self.entry.lower().endswith(".dist-info"):
            return None
        return project_of(root, self.path("direct_url.json"))


def find_distributions(site: str, entries: Sequence[Entry], root: RootFilesystem) -> list[Distribution]:
    """Return the distributions of a folder, one per name, in the order of their names."""
    by_name: dict[str, list[Distribution]] = {}
    for entry in sorted(entries, key=lambda entry: entry.name):
        distribution = _distribution(site, entry)
        if distribution is not None:
            by_name.setdefault(normalise(distribution.name), []).append(distribution)
    return [_newest(found, root) if len(found) > 1 else found[0] for found in by_name.values()]


def _distribution(site: str, entry: Entry) -> Distribution | None:
    name = entry.name.lower()
    if name.startswith("~"):  # what pip leaves of a distribution it could not remove
        return None
    if name.endswith((".dist-info", ".egg-info")):
        is_file = entry.is_regular and name.endswith(".egg-info")
        return Distribution(site, entry.name, is_file)
    if entry.name == "EGG-INFO" and site.lower().endswith(".egg"):
        return Distribution(site, entry.name, recorded=True)
    return None


def _newest(found: list[Distribution], root: RootFilesystem) -> Distribution:
    """Of several metadata folders of one name, return the one the files are from.

    ``pip install --target`` twice and images built in layers leave old metadata behind.
    """

    def rank(distribution: Distribution) -> tuple[bool, int]:
        try:
            return True, root.stat(distribution.file_list.path).mtime_ns
        except Unreadable:
            return False, _modified(distribution.metadata, root)

    return max(found, key=rank)


def _modified(path: str, root: RootFilesystem) -> int:
    try:
        return root.stat(path).mtime_ns
    except Unreadable as error:
        return 0 if error.reason is SkipReason.VANISHED else 1
