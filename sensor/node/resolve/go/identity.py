"""What a Go package is called: from import path and module to the purl and to Snyk's form.

Snyk's scan (snyk-docker-plugin, lib/go-parser/go-binary.ts) writes an entry for each import path, under the
version of its module, both of the replacement where there is one, and ``stdlib`` for the standard
library. It leaves out what has no version and the main module, which is the project itself there.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from sensor.model.package import Ecosystem, Package, SnykIdentity
from sensor.node.resolve.go.modules import Module

_VERSION = re.compile(r"(?:devel )?go(\d+(?:\.\d+)*(?:(?:rc|beta)\d+)?)")
_RELEASE = re.compile(r"go(\d+\.\d+)(\.\d+)?")


def go_package(module: Module, import_path: str) -> Package:
    """Return the package ``import_path`` of ``module``."""
    below = import_path[len(module.prefix) :]
    name = module.path + below
    purl = f"pkg:golang/{quote(module.path)}"
    if module.version is not None:
        purl += "@" + quote(module.version, safe=":")
    if below:
        purl += "#" + quote(below[1:])
    return Package(
        Ecosystem.GOLANG, name, module.version, purl, SnykIdentity("gomodules", name, module.version)
    )


def standard_library(go_version: str) -> Package:
    """Return the standard library of the toolchain that calls itself ``go_version``.

    The purl carries what ``go1.22.1 X:boringcrypto`` or ``devel go1.23-4ab5f1c`` are a variant of. Snyk
    writes releases alone, with three numbers.
    """
    found = _VERSION.match(go_version)
    version = found[1] if found else None
    release = _RELEASE.fullmatch(go_version)
    snyk = release[1] + (release[2] or ".0") if release else None
    purl = "pkg:golang/stdlib" + (f"@{version}" if version else "")
    return Package(Ecosystem.GOLANG, "stdlib", version, purl, SnykIdentity("gomodules", "stdlib", snyk))
