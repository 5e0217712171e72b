"""One pass over the directory of a jar: what names it, what stands in it, the archives inside."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from sensor.model.package import SkipReason
from sensor.node.resolve.archive import Archive, BadArchive, Member
from sensor.node.resolve.java.filename import stem_of
from sensor.node.resolve.java.identity import Evidence, starts
from sensor.node.resolve.java.manifest import MANIFEST_BYTES, NO_MANIFEST, Manifest, parse_manifest
from sensor.node.resolve.java.pom import (
    POM_BYTES,
    POM_PROPERTIES_BYTES,
    Coordinates,
    parse_pom_properties,
    parse_pom_xml,
)

ARCHIVES = (
    ".jar", ".war", ".ear", ".hpi", ".jpi", ".par", ".sar", ".nar", ".kar", ".far", ".rar", ".lpkg", ".zap",
)  # fmt: skip
"""Suffixes of what a class loader takes classes from."""

_POMS = 1000
_NESTED = 4000
_NATIVES = 64
_NAME_LENGTH = 1024  # of what is kept by name; an entry may have 64 KiB
_CLASS_PATH_INDEX_BYTES = 1 << 20

_ARCHIVES = tuple(suffix.encode() for suffix in ARCHIVES)
_POM = re.compile(rb"(?:(?:WEB|BOOT)-INF/classes/)?META-INF/maven/([^/]+/[^/]+)/pom\.(properties|xml)")
# Class folders inside an archive, and copies of classes for later versions of Java (JEP 238).
_CLASS_ROOT = re.compile(rb"(?:BOOT|WEB)-INF/classes/|META-INF/versions/\d+/")
_CLASS_ROOT_STARTS = (b"BOOT-INF/", b"WEB-INF/", b"META-INF/")
# Java agents hide their own classes from the class path: in a folder of theirs, under another suffix.
_HIDDEN_CLASSES = (b".classdata", b".esclazz")
# Attributes that the builds of libraries write and those of applications hardly do.
_OF_LIBRARIES = (
    "implementation-vendor",
    "implementation-vendor-id",
    "bundle-symbolicname",
    "specification-title",
)
_LIBRARIES = (b"BOOT-INF/", b"WEB-INF/")


@dataclass(slots=True)
class Contents:
    """What one pass found. ``nested`` are the archives inside, in the order of the class path."""

    manifest: Manifest = NO_MANIFEST
    poms: tuple[Coordinates, ...] = ()
    package: str = ""
    nested: list[Member] = field(default_factory=list)
    has_classes: bool = False
    natives: tuple[str, ...] = ()
    """Names of the shared libraries to be unpacked, without folder and suffix: ``libnetty_tcnative``."""
    brings_libraries: bool = False

    def evidence(self, path: str) -> Evidence:
        manifest = self.manifest
        of_a_library = any(map(manifest.get, _OF_LIBRARIES))
        return Evidence(
            stem=stem_of(path),
            poms=self.poms,
            manifest=self.manifest,
            package=self.package,
            grouped="/lib/main/" in path or "/lib/boot/" in path,
            application=self.brings_libraries or (starts(manifest) and not of_a_library),
        )


def class_name(entry: bytes) -> bytes:
    """The internal name of the class in an entry (``org/x/Y``), which ends in ``.class``."""
    match = _CLASS_ROOT.match(entry) if entry.startswith(_CLASS_ROOT_STARTS) else None
    while match:
        entry = entry[match.end() :]
        match = _CLASS_ROOT.match(entry)
    return entry[:-6]


def read_contents(archive: Archive, on_class: Callable[[bytes], None] | None = None) -> Contents:
    """Read one archive, not those inside. ``on_class`` is called with each class. Raises BadArchive."""
    found = _Pass(on_class)
    for member in archive.members():
        found.take(member)
    return found.finish(archive)


def read_manifest(archive: Archive) -> Manifest:
    """Read the manifest alone, empty when there is none. Raises BadArchive."""
    for member in archive.members():
        if _is_manifest(member.name):
            return parse_manifest(_head(archive, member, MANIFEST_BYTES))
    return NO_MANIFEST


class _Pass:
    def __init__(self, on_class: Callable[[bytes], None] | None) -> None:
        self._on_class = on_class
        self._contents = Contents()
        self._manifest: Member | None = None
        self._index: Member | None = None
        self._poms: dict[tuple[bytes, bytes], Member] = {}
        self._first = self._last = b""  # in alphabetical order: what they share, all share

    def take(self, member: Member) -> None:
        name = member.name
        if name.endswith(b".class"):
            self._found_class(class_name(name))
        elif name.endswith(_HIDDEN_CLASSES):
            self._found_class(name[name.find(b"/") + 1 : name.rfind(b".")])
        elif len(name) <= _NAME_LENGTH:
            self._take_other(name, member)

    def _take_other(self, name: bytes, member: Member) -> None:
        if name.endswith(_ARCHIVES) or name.lower().endswith(_ARCHIVES):
            self._take_nested(member)
        elif name.endswith((b".properties", b".xml")):
            if match := _POM.fullmatch(name):
                self._poms.setdefault((match[1], match[2]), member)
                if len(self._poms) > _POMS:
                    raise BadArchive(SkipReason.ARCHIVE_BOUNDS, f"more than {_POMS} poms")
        elif _is_manifest(name):
            self._manifest = self._manifest or member
        elif name.endswith(b"classpath.idx"):
            self._index = self._index or member
        elif name.endswith(b".so"):
            self._found_native(name[name.rfind(b"/") + 1 : -3])

    def _found_class(self, name: bytes) -> None:
        if self._on_class is not None:
            self._on_class(name)
        if b"/" in name:  # leaves out module-info
            if not self._first or name < self._first:
                self._first = name
            self._last = max(self._last, name)
        self._contents.has_classes = True

    def _found_native(self, name: bytes) -> None:
        natives = self._contents.natives
        if len(natives) < _NATIVES:
            self._contents.natives = (*natives, sys.intern(name.decode("utf-8", "replace")))

    def _take_nested(self, member: Member) -> None:
        contents = self._contents
        contents.nested.append(member)
        contents.brings_libraries = contents.brings_libraries or member.name.startswith(_LIBRARIES)
        if len(contents.nested) > _NESTED:
            raise BadArchive(SkipReason.ARCHIVE_BOUNDS, f"more than {_NESTED} archives inside")

    def finish(self, archive: Archive) -> Contents:
        contents = self._contents
        contents.package = _shared_package(self._first, self._last)
        parsed: dict[int, Coordinates | None] = {}
        wanted = self._wanted_poms()
        members = [member for member in (self._manifest, self._index) if member] + wanted
        # Forward through the file: an archive that is inflated on the way goes back at a price.
        for member in sorted(members, key=lambda member: member.offset):
            if member is self._manifest:
                contents.manifest = parse_manifest(_head(archive, member, MANIFEST_BYTES))
            elif member is self._index:
                index = _head(archive, member, _CLASS_PATH_INDEX_BYTES)
                contents.nested = _in_class_path_order(contents.nested, index)
            else:
                parsed[member.offset] = _pom(archive, member)
        found = dict.fromkeys(parsed[member.offset] for member in wanted)
        contents.poms = tuple(pom for pom in found if pom is not None)
        return contents

    def _wanted_poms(self) -> list[Member]:
        """Each project's pom.properties, or its pom.xml when it brings none."""
        return [
            member
            for (project, kind), member in self._poms.items()
            if kind == b"properties" or (project, b"properties") not in self._poms
        ]


def _is_manifest(name: bytes) -> bool:
    return name.endswith((b".MF", b".mf")) and name.upper() == b"META-INF/MANIFEST.MF"


def _pom(archive: Archive, member: Member) -> Coordinates | None:
    if member.name.endswith(b".properties"):
        return parse_pom_properties(_head(archive, member, POM_PROPERTIES_BYTES))
    return parse_pom_xml(_head(archive, member, POM_BYTES))


def _head(archive: Archive, member: Member, limit: int) -> bytes:
    try:
        return archive.head(member, limit)
    except BadArchive as error:
        if error.reason is not SkipReason.MALFORMED:
            raise
        return b""  # of no use to the runtime either


def _shared_package(first: bytes, last: bytes) -> str:
    folders = []
    for one, other in zip(first.split(b"/")[:-1], last.split(b"/")[:-1], strict=False):
        if one != other:
            break
        folders.append(one)
    return b"/".join(folders)[:256].decode("utf-8", "replace")


def _in_class_path_order(nested: list[Member], index: bytes) -> list[Member]:
    """Spring Boot's BOOT-INF/classpath.idx: a line ``- "BOOT-INF/lib/x.jar"`` for each, in their order."""
    order: dict[bytes, int] = {}
    for line in index.splitlines():
        if line.startswith(b"- "):
            order.setdefault(line[2:].strip().strip(b'"'), len(order))
    return sorted(nested, key=lambda member: order.get(member.name, len(order)))
