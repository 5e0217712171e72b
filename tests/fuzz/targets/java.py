"""Parsers of what Java containers hold: archives, manifests, poms, names of files, class paths."""

from __future__ import annotations

import contextlib
import io
from typing import BinaryIO

from sensor.model.package import Skipped
from sensor.node.resolve.archive import Archive, BadArchive, Budget
from sensor.node.resolve.java.class_path import class_path_entries
from sensor.node.resolve.java.filename import splits, stem_of
from sensor.node.resolve.java.identity import Evidence, identify
from sensor.node.resolve.java.manifest import NO_MANIFEST, Manifest, parse_manifest
from sensor.node.resolve.java.origins import Origins
from sensor.node.resolve.java.package import maven_package
from sensor.node.resolve.java.pom import Coordinates, parse_pom_properties, parse_pom_xml
from sensor.node.resolve.java.resolver import JavaResolver
from sensor.node.rootfs import FileStat, RootFilesystem
from tests.fuzz.target import Target

_ROOM = "sensor.node.resolve.java"
_PATH = "/app/lib/lib-1.0.jar"


class _OneFile(RootFilesystem):
    """A root in which every path leads to the same bytes."""

    def __init__(self, content: bytes) -> None:
        super().__init__(-1)
        self._content = content

    def stat(self, path: str) -> FileStat:
        return FileStat(1, 0, len(self._content), 0, 0, is_directory=False, is_regular=True)

    def open(self, path: str) -> BinaryIO:
        return io.BytesIO(self._content)


def _zip(data: bytes) -> None:
    budget = Budget(entries=10_000, directory=1 << 20, seconds=1.0, expanded=8 << 20)
    with contextlib.suppress(BadArchive):
        archive = Archive(io.BytesIO(data), budget)
        for member in archive.members():
            with contextlib.suppress(BadArchive):
                assert len(archive.head(member, 1000)) <= 1000
            with contextlib.suppress(BadArchive):
                for nested in archive.nested(member).members():
                    assert nested.name is not None


def _jar(data: bytes) -> None:
    root = _OneFile(data)
    found = JavaResolver().resolve(root, _PATH)
    assert isinstance(found, Skipped) or found
    origins = Origins()
    wanted = ("org/x/A", "demo/App", "A")
    for _ in range(2):
        places = origins.find(root, _PATH, wanted)
        assert isinstance(places, Skipped) or all(place.classes <= set(wanted) for place in places)
    assert all(path.startswith("/") for path in origins.class_path_of(root, _PATH))


def _manifest(data: bytes) -> None:
    manifest = parse_manifest(data)
    _identified(Evidence("lib-1.0", (), manifest, "org/x", application=False))
    for entry in class_path_entries(_PATH, manifest.class_path):
        assert entry.startswith("/")


def _poms(data: bytes) -> None:
    for pom in (parse_pom_properties(data), parse_pom_xml(data)):
        if pom is not None:
            _identified(Evidence("lib-1.0", (pom,), NO_MANIFEST, "", application=False))


def _names(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    stem = stem_of(text)
    assert splits(stem)[-1].version is None
    told = Manifest({"implementation-version": "1.0", "bundle-symbolicname": text})
    for manifest in (NO_MANIFEST, told):
        for grouped in (False, True):
            _identified(Evidence(stem, (), manifest, text, application=False, grouped=grouped))


def _identified(evidence: Evidence) -> None:
    identity = identify(evidence)
    found: list[Coordinates] = [*identity.shaded, *([identity.own] if identity.own else [])]
    for one in found:
        package = maven_package(one)
        assert package.purl.isascii() and package.purl.isprintable()
        assert package.name.count(":") == 1


def _class_path(data: bytes) -> None:
    for entry in class_path_entries(_PATH, data.decode("utf-8", "surrogateescape")):
        assert entry.startswith("/") and "\0" not in entry


TARGETS: tuple[Target, ...] = (
    Target("zip", "sensor.node.resolve.archive", _zip),
    Target("java_jar", _ROOM, _jar),
    Target("java_manifest", f"{_ROOM}.manifest", _manifest),
    Target("java_pom", f"{_ROOM}.pom", _poms),
    Target("java_names", f"{_ROOM}.identity", _names),
    Target("java_class_path", f"{_ROOM}.class_path", _class_path),
)
