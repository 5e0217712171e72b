"""What the cases of Node.js are made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import quote

from tests.edges.case import Case, Expected, Link

NODE = "seen with Node.js 20.20.2"
PNPM = "seen with pnpm 9.15.9"
YARN = "seen with Yarn 4.9.2"
NPM = "seen with npm 11.19.1"


def manifest(name: object = "lodash", version: object = "4.17.21", **fields: object) -> bytes:
    return json.dumps({"name": name, "version": version, **fields}).encode()


def package(name: str = "lodash", version: str | None = "4.17.21", evidence: str = "opened") -> Expected:
    purl = "pkg:npm/" + quote(name, safe="/") + (f"@{quote(version, safe='')}" if version else "")
    return Expected(purl, name, version, evidence)


def case(
    name: str,
    rule: str,
    path: str,
    expected: tuple[Expected, ...] | str = (package(),),
    *,
    manifests: Mapping[str, bytes] | None = None,
    files: Mapping[str, bytes | Link] | None = None,
    executed: bool = False,
) -> Case:
    """``manifests``: folder -> its package.json; ``path`` is an empty file unless it is in ``files``."""
    told = (manifests or {}).items()
    root: dict[str, bytes | Link] = {f"{folder}/package.json": content for folder, content in told}
    if path not in (files or {}):
        root[path] = b""
    return Case(name, rule, {**root, **(files or {})}, path, expected, executed)


LODASH = manifest()
APP = manifest("shop", "1.0.0")
BABEL = manifest("@babel/core", "7.26.10")
