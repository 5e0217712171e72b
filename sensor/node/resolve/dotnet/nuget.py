"""NuGet's names and versions, and its folders: what tells a package by where its files lie.

Names: NuGet.Packaging, PackageIdValidator. Versions: NuGet.Versioning, VersionFormatter ("N", normalized),
which is what deps.json and the folders carry. Folders: "Managing the global packages folder" of NuGet's
documentation, and the runtime package store of .NET Core ("store/<arch>/<tfm>/<id>/<version>").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from sensor.model.package import Ecosystem, Package, SnykIdentity

_NAME = re.compile(r"\w+(?:[.-]\w+)*", re.ASCII)
_NAME_LENGTH = 100
_VERSION = re.compile(r"\d[\w.+-]{0,127}", re.ASCII)
# The start of a version as people write it: "4.6.25519.03 built by: x", "1, 0, 0, 0", "v2.1-beta+sha".
_WRITTEN = re.compile(
    r"v?(\d{1,9}(?:(?:\.|, ?)\d{1,9}){1,3})(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?", re.ASCII
)
# Builds of Microsoft that became the release itself: 2.2.0-rtm-181110-01, 3.1.23-servicing.22116.1.
_RELEASED = re.compile(r"(?:rtm|servicing)(?:[.-].*)?", re.IGNORECASE)
_BUILD_STAMP = 10_000
"""A fourth number from here on is a date or a build (13.0.3.27908), which no package version carries."""

# …/<id>/<version>/lib/…: the folders of a package that hold what a runtime loads.
_FOLDER = re.compile(
    r"(?P<home>/.*/(?P<id>[\w.-]+)/(?P<version>\d+\.\d+[\w.+-]*))/(?P<kind>lib|runtimes|tools|ref|refint)/",
    re.IGNORECASE | re.ASCII,
)
# …/packages/<id>.<version>/lib/…: as nuget.exe lays out packages.config.
_JOINED = re.compile(
    r"(?P<home>/.*/packages/(?P<id>[\w.-]+?)\.(?P<version>\d+\.\d+\.\d[\w.+-]*))/(?P<kind>lib|runtimes|ref)/",
    re.IGNORECASE | re.ASCII,
)
_PACKAGE_HOMES = ("/.nuget/packages/", "/store/", "/nugetfallbackfolder/", "/packages/")

_NUSPEC_FIELD = re.compile(rb"<(id|version)>\s*([^<\s]{1,200})\s*</\1>")


@dataclass(frozen=True, slots=True)
class PackageFolder:
    """A folder named after a package. ``name`` may be in lower case. ``sure``: its parents are NuGet's."""

    path: str
    name: str
    version: str
    reference: bool
    sure: bool

    @property
    def nuspec(self) -> str:
        return f"{self.path}/{self.name.lower()}.nuspec"


def nuget_package(name: str, version: str | None) -> Package | None:
    """Return the package under both of its names, None when NuGet would not take ``name``."""
    if len(name) > _NAME_LENGTH or not _NAME.fullmatch(name):
        return None
    if version is not None and not _VERSION.fullmatch(version):
        version = None
    suffix = f"@{quote(version, safe='')}" if version else ""
    return Package(
        Ecosystem.NUGET, name, version, f"pkg:nuget/{name}{suffix}", SnykIdentity("nuget", name, version)
    )


def normalized(written: str) -> str | None:
    """Return the version that ``written`` begins with, as NuGet normalizes it; None when it begins with none.

    Three numbers at least, a fourth that is zero dropped, no leading zeros, nothing from ``+`` on.
    """
    match = _WRITTEN.match(written.strip())
    if match is None:
        return None
    numbers = [int(number) for number in re.split(r"\.|, ?", match[1])]
    numbers += [0] * (3 - len(numbers))
    if len(numbers) == 4 and (numbers[3] == 0 or numbers[3] >= _BUILD_STAMP):
        del numbers[3]
    core = ".".join(map(str, numbers))
    return f"{core}-{match[2]}" if match[2] and not _RELEASED.fullmatch(match[2]) else core


def package_folder(path: str) -> PackageFolder | None:
    """Return the package folder that ``path`` lies in, by the names of folders alone."""
    match = _FOLDER.match(path) or _JOINED.match(path)
    if match is None or not _NAME.fullmatch(match["id"]):
        return None
    home = match["home"].lower()
    return PackageFolder(
        match["home"],
        match["id"],
        match["version"],
        match["kind"].lower() in {"ref", "refint"},
        any(name in home for name in _PACKAGE_HOMES),
    )


def nuspec_identity(content: bytes) -> tuple[str, str] | None:
    """Return id and version that a .nuspec gives; the first of each is the package's own."""
    fields: dict[bytes, str] = {}
    for match in _NUSPEC_FIELD.finditer(content):
        fields.setdefault(match[1], match[2].decode("utf-8", "replace"))
        if len(fields) == 2:
            return fields[b"id"], fields[b"version"]
    return None
