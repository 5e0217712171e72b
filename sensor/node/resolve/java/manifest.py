"""META-INF/MANIFEST.MF -> the attributes that name what is in a jar.

Rules: JAR File Specification, "Notes on Manifest and Signature Files": lines of at most 72 bytes that go
on in lines beginning with one space, names of any case, a main section up to the first empty line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

MANIFEST_BYTES = 256 << 10
"""Read of a manifest: signed jars list a digest for each class after the main section."""

_VALUE_LENGTH = 256
_LINES = 20_000
_NAMED_SECTIONS = 16
_LINE = re.compile(rb"\r\n|\n|\r")
_CLASS_PATH = "class-path"

_KEPT = frozenset(
    {
        "automatic-module-name",
        "bnd-lastmodified",
        "build-jdk",
        "bundle-name",
        "bundle-symbolicname",
        "bundle-vendor",
        "bundle-version",
        "created-by",
        "extension-name",
        "group-id",
        "implementation-title",
        "implementation-vendor",
        "implementation-vendor-id",
        "implementation-version",
        "main-class",
        "name",
        "plugin-version",
        "short-name",
        "specification-title",
        "specification-version",
        "start-class",
        "tool",
        "weave-classes",
        "bundle-license",
        "premain-class",
    }
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """Attributes by their name in lower case. ``class_path`` is the value as written, empty without one."""

    attributes: Mapping[str, str]
    class_path: str = ""

    def get(self, name: str) -> str:
        """The value of an attribute, empty without one; what comes after a semicolon is no name (OSGi)."""
        return self.attributes.get(name, "")


NO_MANIFEST = Manifest({})


def parse_manifest(content: bytes) -> Manifest:
    """Return what a manifest says. Malformed lines are passed over, as any bytes may stand in one.

    Attributes of the first named sections stand in for those missing in the main one: xerces and others
    name their implementation there.
    """
    found: dict[str, str] = {}
    class_path, sections = "", 0
    for name, value in _attributes(content):
        if not name:
            sections += 1
            if sections > _NAMED_SECTIONS:
                break
        elif name == _CLASS_PATH:
            class_path = class_path or value.decode("utf-8", "replace")
        elif name in _KEPT:
            found.setdefault(name, value[:_VALUE_LENGTH].decode("utf-8", "replace").strip())
    return Manifest(found, class_path)


def _attributes(content: bytes) -> list[tuple[str, bytes]]:
    """Each attribute in its order; an empty name where a section ends."""
    lines = _LINE.split(content.removeprefix(b"\xef\xbb\xbf"), _LINES)[:_LINES]
    found: list[tuple[str, bytes]] = []
    name, parts = "", list[bytes]()
    for line in [*lines, b""]:
        if line.startswith(b" "):
            parts.append(line[1:])
            continue
        if name:
            found.append((name, b"".join(parts)))
        key, colon, value = line.partition(b":")
        name = key.decode("ascii", "replace").strip().lower() if colon else ""
        parts = [value.removeprefix(b" ")]
        if not line.strip():
            found.append(("", b""))
    return found
