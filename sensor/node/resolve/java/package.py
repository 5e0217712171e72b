"""Maven coordinates -> the package with its two names."""

from __future__ import annotations

import sys
from urllib.parse import quote

from sensor.model.package import Ecosystem, Package, SnykIdentity
from sensor.node.resolve.java.pom import Coordinates


def maven_package(found: Coordinates) -> Package:
    """Return the package. The purl is that of the purl specification's type ``maven``: the group is its
    namespace. A purl without ``@`` says that no version is known."""
    name = f"{found.group}:{found.artifact}"
    purl = f"pkg:maven/{quote(found.group, safe='')}/{quote(found.artifact, safe='')}"
    if found.version is not None:
        purl += "@" + quote(found.version, safe="")
    # Interned: the same libraries stand in many archives.
    name, purl = sys.intern(name), sys.intern(purl)
    version = None if found.version is None else sys.intern(found.version)
    return Package(
        ecosystem=Ecosystem.MAVEN,
        name=name,
        version=version,
        purl=purl,
        snyk=SnykIdentity("maven", name, version),
    )
