"""SPDX 2.3 as JSON, https://spdx.github.io/spdx-spec/v2.3/"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sensor.receiver.sbom.interface import Component, component, objects, text


def image(document: dict[str, Any]) -> str:
    """The name of the package that stands for a container image (section 7.24)."""
    for package in objects(document.get("packages")):
        if package.get("primaryPackagePurpose") == "CONTAINER":
            name, version = text(package.get("name")), text(package.get("versionInfo"))
            bare = not version or version.startswith("sha256:") or ":" in name.rpartition("/")[2]
            return name if bare else f"{name}:{version}"
    return ""


def packages(document: dict[str, Any]) -> Iterator[Component | None]:
    """By the external reference ``purl`` (annex F); ``None`` for a package without."""
    for package in objects(document.get("packages")):
        if package.get("primaryPackagePurpose") in ("CONTAINER", "OPERATING-SYSTEM", "FILE"):
            continue
        locators = (
            reference.get("referenceLocator")
            for reference in objects(package.get("externalRefs"))
            if reference.get("referenceType") == "purl"
        )
        yield component(next(locators, None))
