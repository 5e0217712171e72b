"""Distributions inside what zipimport can import: eggs, wheels, pex files, zipped applications.

Only the central directory and the head of each metadata file are read.
"""

from __future__ import annotations

import io
import re

from sensor.model.package import Package, SkipReason
from sensor.node.resolve.archive import Archive, BadArchive, Budget, Member, NotZip
from sensor.node.resolve.python.identity import named_by_folder, read_package
from sensor.node.rootfs import RootFilesystem, Unreadable

ENTRIES = 65_535
DIRECTORY_BYTES = 8 << 20
METADATA_BYTES = 1 << 20
DISTRIBUTIONS = 500
SECONDS = 1.0

_METADATA = re.compile(
    rb"(?:.*/)?(?:[^/]+\.dist-info/METADATA|EGG-INFO/PKG-INFO|[^/]+\.egg-info(?:/PKG-INFO)?)", re.IGNORECASE
)
# The part of a metadata member's path that names the distribution: its folder, or the egg around it.
_ENTRY = re.compile(r".*/([^/]+\.(?:dist-info|egg-info|egg))(?:/EGG-INFO)?(?:/[^/]+)?\Z", re.IGNORECASE)
# Copies that live inside another distribution belong to it.
_VENDORED = re.compile(rb"(?:^|/)(?:_?vendor(?:ed)?|_vendored|\.bootstrap)/")

Bundled = tuple[Package, ...]


def read_archive(root: RootFilesystem, path: str) -> Bundled:
    """Return the distributions in an archive, none if it has none or is no archive. Raises Unreadable.

    To import anything at all, the interpreter opens every archive on sys.path (zipimport, and
    importlib's path hooks): of an egg or a wheel, too, only the process can tell whether it is used.
    """
    with root.open(path) as file:
        try:
            return _read(Archive(file, archive_budget()), path)
        except NotZip:
            return ()
        except BadArchive as error:
            raise Unreadable(error.reason, f"{path}: {error.detail}") from error


def archive_budget() -> Budget:
    """What reading one archive may cost."""
    expanded = DISTRIBUTIONS * METADATA_BYTES
    return Budget(entries=ENTRIES, directory=DIRECTORY_BYTES, seconds=SECONDS, expanded=expanded, depth=0)


def is_metadata(name: bytes) -> bool:
    """Whether a member describes a distribution that is nobody's vendored copy."""
    return _METADATA.fullmatch(name) is not None and _VENDORED.search(name) is None


def package_of(archive: Archive, member: Member, path: str) -> Package | None:
    """Return what a metadata member of the archive at ``path`` describes, ``None`` for the interpreter.

    Metadata that is none leaves its folder's name to speak, as outside of archives. Raises BadArchive
    for what cannot be read, and Unreadable for a name that is none.
    """
    name = member.name.decode("utf-8", "replace")
    text = io.BytesIO(archive.head(member, METADATA_BYTES))
    try:
        return read_package(text, f"{path}/{name}")
    except Unreadable:
        entry = _ENTRY.search(f"{path}/{name}")
        package = None if entry is None else named_by_folder(entry[1])
        if package is None:
            raise
        return package


def _read(archive: Archive, path: str) -> Bundled:
    members: list[Member] = []
    for member in archive.members():
        if is_metadata(member.name):
            members.append(member)
            if len(members) > DISTRIBUTIONS:
                raise BadArchive(SkipReason.ARCHIVE_BOUNDS, f"more than {DISTRIBUTIONS} distributions")
    found: dict[str, Package] = {}
    for member in members:
        package = package_of(archive, member, path)
        if package is not None:
            found.setdefault(package.purl, package)
    return tuple(found.values())
