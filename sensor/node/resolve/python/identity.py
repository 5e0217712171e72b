"""What a Python distribution is called: from its metadata to the purl and to Snyk's form."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import BinaryIO
from urllib.parse import quote

from sensor.model.package import Ecosystem, Package, SkipReason, SnykIdentity
from sensor.node.rootfs import Unreadable

_HEADER_BYTES = 1 << 20
_PACKAGES = 2048
_LINE_BYTES = 1 << 16
_VERSION_LENGTH = 128
_MAX_SAFE_INTEGER = 2**53 - 1

# Core metadata specification, "Name".
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,212}[A-Za-z0-9])?")
_FOLDER = re.compile(
    r"([^-]+)(?:-([^-]+)(?:-[^/]*)?)?\.(?:dist-info|egg-info|egg)",
    re.IGNORECASE,
)
_SEPARATORS = re.compile(r"[-_.]+")

# node-semver 7, internal/re.js: COERCE. Its \d and $ are ASCII digits and the end of the text.
_COERCE = re.compile(
    r"(?:^|[^0-9])([0-9]{1,16})(?:\.([0-9]{1,16}))?(?:\.([0-9]{1,16}))?(?:\Z|[^0-9])",
)


def normalise(name: str) -> str:
    """Return the name as PEP 503 compares it."""
    return _SEPARATORS.sub("-", name).lower()


def snyk_version(version: str) -> str | None:
    """Return ``version`` as Snyk's pip analysis writes it, ``None`` where it drops the package.

    Snyk's container scan passes it through ``semver.coerce`` (snyk-docker-plugin,
    lib/python-parser/metadata-parser.ts): the first one to three numbers, so an epoch ``1!2.0``
    becomes ``1.0.0``. A number with leading zeros (``2021.05.30``) or past 2**53 is no version
    there, and the package does not appear in its result.
    """
    found = _COERCE.search(version)
    if found is None:
        return None
    numbers = [number or "0" for number in found.groups()]
    if any((number != "0" and number[0] == "0") or int(number) > _MAX_SAFE_INTEGER for number in numbers):
        return None
    return ".".join(numbers)


@lru_cache(_PACKAGES)
def pypi_package(name: str, version: str | None) -> Package:
    """Return the package with both identities. A purl without ``@`` says that no version is known.

    One object for the containers of a node, which have many in common.
    """
    purl = f"pkg:pypi/{normalise(name)}"
    if version is not None:
        purl += "@" + quote(version, safe=":")
    return Package(
        ecosystem=Ecosystem.PYPI,
        name=name,
        version=version,
        purl=purl,
        snyk=SnykIdentity("pip", name.lower(), None if version is None else snyk_version(version)),
    )


def read_package(file: BinaryIO, origin: str) -> Package | None:
    """Return the package that METADATA or PKG-INFO describes; ``None`` for the interpreter itself.

    Headers end at the first blank line: the README below may contain ``Name:``. Raises Unreadable.
    """
    name, version = _read_headers(file, origin)
    if name == "Python":  # Debian and old installers describe the standard library this way
        return None
    if name is None or _NAME.fullmatch(name) is None:
        raise Unreadable(SkipReason.MALFORMED, f"{origin}: a distribution needs a Name, found {name!r}")
    return pypi_package(name, version)


def named_by_folder(entry: str) -> Package | None:
    """Return the package as the name of its metadata folder or file tells it; ``None`` when it tells none.

    For metadata that is missing or cannot be read. ``name-version.dist-info`` is PEP 427's and PEP 376's
    form, ``name-version-py3.11.egg-info`` and ``.egg`` that of setuptools (setuptools/_distutils,
    EggInfo; pkg_resources.EGG_NAME); ``-`` in either part stands as ``_``. Development installs have no
    version there.
    """
    found = _FOLDER.fullmatch(entry)
    if found is None or found[1] == "Python" or _NAME.fullmatch(found[1]) is None:
        return None
    return pypi_package(found[1], found[2] and _version(found[2]))


def _read_headers(file: BinaryIO, origin: str) -> tuple[str | None, str | None]:
    name = version = None
    left = _HEADER_BYTES
    try:
        while left > 0 and (name is None or version is None):
            line = file.readline(_LINE_BYTES)
            left -= len(line)
            if not line.strip():
                break
            key, _, value = line.decode("utf-8", "replace").partition(":")
            key = key.lstrip("\ufeff").lower()
            if key == "name" and name is None:
                name = value.strip()
            elif key == "version" and version is None:
                version = _version(value.strip())
    except OSError as error:
        raise Unreadable(SkipReason.IO_ERROR, f"{origin}: {error}") from error
    return name, version


def _version(text: str) -> str | None:
    """Return the version as written, or ``None`` for what cannot be one."""
    usable = 0 < len(text) <= _VERSION_LENGTH and text.isascii() and text.isprintable() and " " not in text
    return text if usable else None
