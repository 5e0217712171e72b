"""Whose a module inside an archive is: ``/app/tool.pyz/requests/api.py``, zipimport's ``__file__``.

An archive is read like a site directory: each distribution's metadata folder, its RECORD, else its
top_level.txt, else its name; copies inside another distribution belong to that one. A zip may hold
several such directories (``.deps/<wheel>/`` of a pex, ``site-packages/`` of a bundle).
"""

from __future__ import annotations

import io
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from sensor.model.package import Package, SkipReason
from sensor.node.resolve.archive import Archive, BadArchive, Member, NotZip
from sensor.node.resolve.python.archive import (
    DISTRIBUTIONS,
    METADATA_BYTES,
    archive_budget,
    is_metadata,
    package_of,
)
from sensor.node.resolve.python.identity import normalise
from sensor.node.resolve.python.ownership import Ownership, OwnershipBuilder
from sensor.node.rootfs import RootFilesystem, Unreadable

KEPT = 2048
"""Folders and files kept apart of one archive; with names of this length that is 1 MiB at worst."""
NAME_LENGTH = 512
FOLDERS = 20_000
"""Folders and shared files looked at on the way to that."""
LISTED = 100_000
"""Lines of all RECORDs of one archive."""

_LEVELS = 4
_OUTSIDE = re.compile(r"\A(?:\.\.|/)|\.dist-info/")


@dataclass(frozen=True, slots=True)
class Contents:
    """Who owns what inside one archive."""

    packages: tuple[Package, ...] = ()
    ownership: Ownership | None = None

    def owners(self, inner: str) -> tuple[Package, ...]:
        """Return whose the member ``inner`` is; byte code counts as its source."""
        if self.ownership is None:
            return ()
        return tuple([self.packages[number] for number in self.ownership.find(inner)])


@dataclass(slots=True)
class _Distribution:
    """``prefix`` is the folder on sys.path, with a slash; ``folder`` is its metadata's, relative to it."""

    number: int
    prefix: str
    folder: str
    record: Member | None = None
    top_level: Member | None = None


def read_contents(root: RootFilesystem, path: str) -> Contents:
    """Return the contents of the archive ``path``, without owners when it is none. Raises Unreadable."""
    with root.open(path) as file:
        try:
            return _Reader(Archive(file, archive_budget()), path).contents()
        except NotZip:
            return Contents()
        except BadArchive as error:
            raise Unreadable(error.reason, f"{path}: {error.detail}") from error


class _Reader:
    def __init__(self, archive: Archive, path: str) -> None:
        self._archive = archive
        self._path = path
        self._builder = OwnershipBuilder()
        self._packages: list[Package] = []
        self._found: dict[str, _Distribution] = {}
        self._modules: dict[tuple[str, str], set[str]] = {}
        """(folder with a slash, name as PEP 503 compares it) -> modules of that name in there."""
        self._left = FOLDERS
        self._lines = LISTED

    def contents(self) -> Contents:
        lists = self._survey()
        if not self._found:
            return Contents()
        for folder, distribution in self._found.items():
            distribution.record = lists.get(f"{folder}/RECORD")
            distribution.top_level = lists.get(f"{folder}/top_level.txt")
            on_path = distribution.prefix.rstrip("/")
            is_egg = distribution.folder == "EGG-INFO"
            self._builder.share(on_path.rpartition("/")[0] if is_egg else on_path)
        self._add_all()
        ownership = self._builder.build()
        if len(ownership) > KEPT:
            raise BadArchive(SkipReason.ARCHIVE_BOUNDS, f"more than {KEPT} folders and files to tell apart")
        return Contents(tuple(self._packages), ownership)

    def _add_all(self) -> None:
        listed: dict[int, set[str]] = {}
        for distribution in self._found.values():
            if distribution.record is None:
                self._add_named(distribution)
            else:
                listed[distribution.number] = self._add_folders(distribution, distribution.record)
        for distribution in self._found.values():
            if distribution.record is not None:
                self._add_files(distribution, distribution.record, listed[distribution.number])

    def _survey(self) -> dict[str, Member]:
        """Note distributions and the modules at the top; return the members that list files."""
        metadata: list[tuple[str, Member]] = []
        lists: dict[str, Member] = {}
        for member in self._archive.members():
            name = member.name.decode("utf-8", "surrogateescape")
            if len(name) > NAME_LENGTH:
                continue
            if is_metadata(member.name):
                metadata.append((name, member))
            elif name.endswith(("-info/RECORD", "-info/top_level.txt", "EGG-INFO/top_level.txt")):
                lists[name] = member
            elif len(self._modules) < KEPT:
                self._note_modules(name)
            if len(metadata) > DISTRIBUTIONS or len(lists) > 2 * DISTRIBUTIONS:
                raise BadArchive(SkipReason.ARCHIVE_BOUNDS, f"more than {DISTRIBUTIONS} distributions")
        for name, member in metadata:
            self._note_distribution(name, member)
        return lists

    def _note_modules(self, name: str) -> None:
        """Keep what could be a module named like its distribution, a few folders deep."""
        position = -1
        for _ in range(_LEVELS):
            prefix = name[: position + 1]
            position = name.find("/", position + 1)
            module = name[len(prefix) : position if position >= 0 else None].partition(".")[0]
            self._modules.setdefault((prefix, normalise(module)), set()).add(module)
            if position < 0:
                return

    def _note_distribution(self, name: str, member: Member) -> None:
        package = package_of(self._archive, member, self._path)
        if package is None:
            return
        folder = name if name.endswith("-info") else name.rpartition("/")[0]
        parent, _, entry = folder.rpartition("/")
        prefix = f"{parent}/" if parent else ""
        self._found[folder] = _Distribution(len(self._packages), prefix, entry)
        self._packages.append(package)

    def _add_named(self, distribution: _Distribution) -> None:
        if distribution.folder == "EGG-INFO":
            self._own_folder(distribution.prefix, distribution.number)
            return
        for module in self._named(distribution):
            path = f"{distribution.prefix}{module}"
            self._add_folder(path, distribution.number)
            self._add_file(f"{path}.py", distribution.number)

    def _own_folder(self, prefix: str, owner: int) -> None:
        """An egg is a folder of one distribution, and so is an archive that is an egg."""
        if prefix:
            self._add_folder(prefix.rstrip("/"), owner)
        elif len(self._packages) == 1:
            self._builder.own_everything(owner)

    def _named(self, distribution: _Distribution) -> list[str]:
        if distribution.top_level is not None:
            text = self._archive.head(distribution.top_level, 1 << 16).decode("utf-8", "replace")
            names = [line.strip().strip("/") for line in text.splitlines()[:1000]]
            return [name for name in names if name and ".." not in name and len(name) <= NAME_LENGTH]
        wanted = normalise(self._packages[distribution.number].name)
        return sorted(self._modules.get((distribution.prefix, wanted), ()))

    def _add_folders(self, distribution: _Distribution, record: Member) -> set[str]:
        folders = {path.rpartition("/")[0] for path in self._listed(distribution, record)}
        for folder in folders:
            self._add_folder(folder.removesuffix("/__pycache__"), distribution.number)
        return folders

    def _add_files(self, distribution: _Distribution, record: Member, folders: set[str]) -> None:
        """Second reading, for those who share a folder: keeping all lines of all would be big."""
        shared = {
            folder for folder in folders if self._builder.is_shared(folder.removesuffix("/__pycache__"))
        }
        if shared:
            for path in self._listed(distribution, record):
                if path.rpartition("/")[0] in shared:
                    self._add_file(path, distribution.number)

    def _listed(self, distribution: _Distribution, record: Member) -> Iterator[str]:
        """Yield what a RECORD lists, relative to the archive, but for scripts and metadata."""
        for line in io.BytesIO(self._archive.head(record, METADATA_BYTES)):
            self._lines -= 1
            if self._lines < 0:
                raise BadArchive(SkipReason.ARCHIVE_BOUNDS, "its distributions list too many files")
            written = line.partition(b",")[0].strip().strip(b'"').decode("utf-8", "surrogateescape")
            path = distribution.prefix + written
            if "./" in written or "//" in written or written[:1] == "/":
                path = posixpath.normpath(posixpath.join(distribution.prefix, written))
            if written and len(path) <= NAME_LENGTH and not _OUTSIDE.search(path):
                yield path

    def _add_folder(self, folder: str, owner: int) -> None:
        self._spend()
        if folder:
            self._builder.add_folder(folder, owner)

    def _add_file(self, path: str, owner: int) -> None:
        self._spend()
        self._builder.add_file(path, owner)

    def _spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise BadArchive(SkipReason.ARCHIVE_BOUNDS, "its distributions have too many folders")
