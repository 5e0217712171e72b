"""package.json -> what it calls its package.

Anything may stand in it: Node.js itself takes nothing from it but a few fields, and neither do we.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from urllib.parse import quote

from sensor.model.package import Ecosystem, Package, SnykIdentity

# What npm installs: its rules for old packages (upper case is allowed, 214 characters, URL-safe,
# neither a dot nor an underscore in front). No real package lies outside of them, so a name that does
# is no name.
_NAME = re.compile(r"(?:@[\w\-.!~*'()]+/[\w\-!~*'()]|[A-Za-z0-9\-!~*'()])[\w\-.!~*'()]*", re.ASCII)
_NAME_LENGTH = 214
_VERSION_LENGTH = 256  # the limit of node-semver


@dataclass(frozen=True, slots=True)
class Manifest:
    """``package`` is None when there is no usable name.

    ``published`` tells whether a registry would have taken it: name and version, not private.
    """

    package: Package | None
    published: bool = False


NAMELESS = Manifest(None)


def parse_manifest(content: bytes) -> Manifest:
    """Return what a package.json says. Malformed content is a manifest without a package.

    Bytes that are not UTF-8 become U+FFFD and a byte-order mark is dropped, as Node.js does; of
    duplicate keys the last one counts, as in JavaScript.
    """
    try:
        fields = json.loads(content.decode("utf-8-sig", errors="replace"))
    except (ValueError, RecursionError):  # RecursionError: nested deeper than the interpreter's stack
        return NAMELESS
    if not isinstance(fields, dict):
        return NAMELESS
    name, version = fields.get("name"), _version(fields.get("version"))
    if not isinstance(name, str) or not is_name(name):
        return NAMELESS
    published = version is not None and fields.get("private") is not True
    return Manifest(npm_package(name, version), published)


def is_name(name: str) -> bool:
    """Whether npm would install a package of this name."""
    return len(name) <= _NAME_LENGTH and _NAME.fullmatch(name) is not None


def npm_package(name: str, version: str | None) -> Package:
    """Return the package under both its names.

    The purl keeps the case (purl-spec, npm type: ``JSONStream`` and ``jsonstream`` are two packages)
    and takes the scope as its namespace, ``@`` encoded. Snyk writes name and version as they stand
    (snyk-docker-plugin, lib/analyzer/applications/node.ts); where a lock file lies beside package.json it
    takes the names from there, so that an alias keeps its alias, which no installed file tells.
    """
    encoded = "/".join(quote(part, safe="") for part in name.split("/"))
    suffix = "" if version is None else f"@{quote(version, safe=':')}"
    return Package(
        ecosystem=Ecosystem.NPM,
        name=name,
        version=version,
        purl=f"pkg:npm/{encoded}{suffix}",
        snyk=SnykIdentity("npm", name, version),
    )


def _version(value: object) -> str | None:
    if not isinstance(value, str) or len(value) > _VERSION_LENGTH:
        return None
    return value if value.isprintable() and value.strip() else None
