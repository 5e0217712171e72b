"""A folder on sys.path with the metadata of its distributions: who owns which file in it."""

from __future__ import annotations

import itertools
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sensor.model.package import Skipped, SkipReason
from sensor.node.resolve.python.conda import conda_distributions
from sensor.node.resolve.python.debian import debian_modules
from sensor.node.resolve.python.distribution import Distribution, find_distributions
from sensor.node.resolve.python.editable import editable_projects
from sensor.node.resolve.python.identity import normalise
from sensor.node.resolve.python.ownership import Ownership, OwnershipBuilder
from sensor.node.resolve.python.record import Budget
from sensor.node.rootfs import Entry, RootFilesystem, Unreadable

ENTRIES = 32_768
DISTRIBUTIONS = 10_000
LINES = 2_000_000
FOLDERS = 100_000
FILES = 100_000
OUTSIDE_FOLDERS = 1_000
EDITABLES = 1_000
BUILD_SECONDS = 5.0

_SITE_NAMES = ("/site-packages", "/dist-packages")
_SEPARATORS = re.compile(r"[-_.]+")


@dataclass(frozen=True, slots=True)
class Site:
    """``outside`` are folders in other site directories that a distribution of this one filled:
    wheels with both pure and platform parts on systems with lib and lib64.

    ``failure`` is the first distribution that could not be read: an unowned file may be its.
    """

    folder: str
    distributions: tuple[Distribution, ...] = ()
    ownership: Ownership | None = None
    outside: tuple[tuple[str, Distribution], ...] = ()
    editable: tuple[tuple[str, Distribution], ...] = ()
    failure: Skipped | None = None

    @property
    def weight(self) -> int:
        """How much memory this takes, in table entries."""
        table = 0 if self.ownership is None else len(self.ownership)
        return 1 + table + 4 * len(self.distributions) + len(self.outside)

    def owners(self, path: str) -> tuple[Distribution, ...]:
        """Return who owns the absolute ``path`` below this folder; empty when nobody does."""
        if self.ownership is None:
            return ()
        start = len(self.folder) + (self.folder != "/")
        return tuple([self.distributions[number] for number in self.ownership.find(path[start:])])


def read_site(root: RootFilesystem, folder: str) -> Site:
    """Return the site directory ``folder``, empty of distributions if it is none. Raises Unreadable."""
    entries = root.list(folder, ENTRIES)
    # An overlay whose upper layer was removed still opens what it opened before, and lists nothing.
    if not entries and not root.list("/", ENTRIES):
        raise Unreadable(SkipReason.VANISHED, f"{folder}: the container's files were removed meanwhile")
    found = find_distributions(folder, entries, root)
    if folder.endswith(_SITE_NAMES[0]):
        found += conda_distributions(root, folder, {normalise(distribution.name) for distribution in found})
    if not found:
        return Site(folder)
    if len(found) > DISTRIBUTIONS:
        raise Unreadable(SkipReason.TOO_MANY_ENTRIES, f"{folder}: {len(found)} distributions")
    return _Reader(root, folder, entries, found).site()


class _Reader:
    """Reads the distributions of one folder into a Site."""

    def __init__(
        self, root: RootFilesystem, folder: str, entries: Sequence[Entry], found: list[Distribution]
    ) -> None:
        self._root = root
        self._folder = folder
        self._entries = entries
        self._found = found
        self._builder = OwnershipBuilder()
        self._budget = Budget(time.monotonic() + BUILD_SECONDS, LINES, FOLDERS, FILES)
        self._direct: dict[int, set[str]] = {}
        self._outside: list[tuple[str, Distribution]] = []
        self._failure: Skipped | None = None

    def site(self) -> Site:
        if self._found[0].entry == "EGG-INFO":
            self._builder.own_everything(0)
        else:
            self._add_recorded()
            self._add_named()
        site = Site(
            self._folder,
            tuple(self._found),
            self._builder.build(),
            tuple(self._outside),
            failure=self._failure,
        )
        projects = editable_projects(self._root, self._folder, self._entries, self._found, site.owners)
        return replace(site, editable=tuple(self._while_time(projects)))

    def _while_time(self, projects: Iterator[tuple[str, Distribution]]) -> Iterator[tuple[str, Distribution]]:
        for project in itertools.islice(projects, EDITABLES):
            self._budget.check_time()
            yield project

    def _add_recorded(self) -> None:
        for number, distribution in enumerate(self._found):
            try:
                self._direct[number] = self._add_folders(number, distribution)
                distribution.recorded = True
            except Unreadable as error:
                self._forgive(error)
        for number, folders in self._direct.items():
            shared = {folder for folder in folders if folder and self._builder.is_shared(folder)}
            if shared:
                self._add_files(number, shared)

    def _forgive(self, error: Unreadable) -> None:
        """Go on without one list of files, unless it was the budget of all that ended."""
        self._budget.check_time()
        if error.reason is SkipReason.TOO_MANY_ENTRIES:
            raise error
        if error.reason is not SkipReason.VANISHED:  # many installers write no list
            self._failure = self._failure or error.skipped()

    def _add_folders(self, number: int, distribution: Distribution) -> set[str]:
        files = distribution.file_list
        written: set[bytes] = set()
        loose: list[bytes] = []
        for path in files.paths(self._root, self._budget):
            head = path.rpartition(b"/")[0]
            if not head or head.endswith((b"__pycache__", b"..")):
                self._budget.spend_file()
                loose.append(path)
            if head not in written:
                self._budget.spend_folder()
                written.add(head)
        direct = {name for name in map(files.folder, written) if name and not name.endswith(".dist-info")}
        for name in direct:
            if not name.startswith("/"):
                self._builder.add_folder(name, number)
            elif _in_site(name) and len(self._outside) < OUTSIDE_FOLDERS:
                self._outside.append((name, distribution))
        self._add_loose(number, distribution, loose)
        return direct

    def _add_loose(self, number: int, distribution: Distribution, paths: list[bytes]) -> None:
        """Modules that stand in the site directory itself."""
        files = distribution.file_list
        for path in paths:
            head, _, name = path.rpartition(b"/")
            if name and files.folder(head) == "":
                self._builder.add_file(_decoded(head, name), number)

    def _add_files(self, number: int, folders: set[str]) -> None:
        """Second reading, for the few who share a folder: keeping all lines of all would be big."""
        files = self._found[number].file_list
        try:
            for path in files.paths(self._root, self._budget):
                head, _, name = path.rpartition(b"/")
                folder = files.folder(head)
                if folder in folders:
                    self._budget.spend_file()
                    self._builder.add_file(f"{folder}/{_decoded(head, name)}", number)
        except Unreadable as error:
            self._forgive(error)

    def _add_named(self) -> None:
        """Distributions without a list of files: by top_level.txt, else by their own name."""
        claims: list[tuple[int, str, bool]] = []
        tops = self._top_levels()
        for number, distribution in enumerate(self._found):
            if not distribution.recorded:
                self._budget.check_time()
                names = tops[number] or tuple(self._modules_named(distribution.name))
                namespaces = distribution.namespaces(self._root)
                for name in names:
                    self._budget.spend_file()
                    claims.append((number, name, name in namespaces))
        counts = Counter(name for _, name, _ in claims)
        taken = {name for name in counts if self._builder.knows(name)}
        for number, name, is_namespace in claims:
            self._budget.check_time()
            is_shared = is_namespace or counts[name] > 1 or name in taken
            module = _below(name, self._found[number].name) if is_shared else name
            # A claim to what is not there would only take the folder above from its owner.
            if is_shared and not self._exists(module):
                continue
            self._builder.add_folder(module, number)
            self._builder.add_file(f"{module}.py", number)

    def _top_levels(self) -> dict[int, tuple[str, ...]]:
        """The modules that each distribution without a list of files names, or dpkg in its place."""
        tops: dict[int, tuple[str, ...]] = {}
        for number, distribution in enumerate(self._found):
            if not distribution.recorded:
                self._budget.check_time()
                tops[number] = distribution.top_levels(self._root)
        if self._folder.endswith("/dist-packages"):
            silent = {self._found[number].entry: number for number, names in tops.items() if not names}
            for entry, modules in debian_modules(self._root, self._folder, silent).items():
                tops[silent[entry]] = modules
        return tops

    def _exists(self, module: str) -> bool:
        for path in (f"{self._folder}/{module}", f"{self._folder}/{module}.py"):
            try:
                self._root.stat(path)
                return True
            except Unreadable:
                continue
        return False

    def _modules_named(self, name: str) -> Iterator[str]:
        wanted = normalise(name)
        parts = name.split(".")
        for entry in self._entries:
            module = entry.name.partition(".")[0]
            if not entry.name.endswith((".dist-info", ".egg-info")) and normalise(module) == wanted:
                yield module
            elif len(parts) > 1 and entry.name == parts[0]:
                yield "/".join(parts)


def _in_site(folder: str) -> bool:
    return any(f"{name}/" in folder for name in _SITE_NAMES)


def _decoded(head: bytes, name: bytes) -> str:
    """The file, still in ``__pycache__`` if it was: that tells how its name is to be read."""
    text = name.decode("utf-8", "surrogateescape")
    return f"__pycache__/{text}" if head.endswith(b"__pycache__") else text


def _below(namespace: str, name: str) -> str:
    """Return the folder of a distribution in a namespace it shares: ``zope.event`` in zope/event."""
    parts = _SEPARATORS.split(name.lower())
    if parts[:1] == [namespace.lower()] and len(parts) > 1:
        parts = parts[1:]
    return "/".join([namespace, *parts])
