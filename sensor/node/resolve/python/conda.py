"""Packages that only conda knows: conda-meta/*.json, for what has no dist-info."""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sensor.model.package import Package
from sensor.node.resolve.python.distribution import Distribution
from sensor.node.resolve.python.identity import normalise, pypi_package
from sensor.node.rootfs import RootFilesystem, Unreadable

_RECORD_BYTES = 4 << 20
_RECORDS = 200
_SECONDS = 1.0
_NAME_PARTS = 3  # name-version-build.json


@dataclass(slots=True, eq=False)
class CondaDistribution(Distribution):
    """``entry`` is the name conda gave it; ``modules`` are what it put into the site directory."""

    version: str = ""
    modules: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.entry

    def package(self, root: RootFilesystem) -> Package | None:
        return pypi_package(self.entry, self.version)

    def top_levels(self, root: RootFilesystem) -> tuple[str, ...]:
        return self.modules

    def namespaces(self, root: RootFilesystem) -> tuple[str, ...]:
        return ()

    def editable_source(self, root: RootFilesystem) -> str | None:
        return None


def conda_distributions(root: RootFilesystem, site: str, known: Collection[str]) -> list[Distribution]:
    """Return what conda put into ``site`` (``<prefix>/lib/python3.x/site-packages``) beside ``known``.

    At most 200 records and one second are spent; what lies beyond stays without an owner.
    """
    prefix = site.rsplit("/", 3)[0]
    try:
        entries = root.list(f"{prefix}/conda-meta")
    except Unreadable:
        return []
    names = [entry.name for entry in entries if _is_python(entry.name, known)]
    deadline = time.monotonic() + _SECONDS
    found: list[Distribution] = []
    for name in sorted(names)[:_RECORDS]:
        if time.monotonic() > deadline:
            break
        distribution = _read(root, f"{prefix}/conda-meta/{name}", site, len(prefix) + 1)
        if distribution is not None:
            found.append(distribution)
    return found


def _is_python(file_name: str, known: Collection[str]) -> bool:
    """By conda-build's naming a build for Python says so: ``py311h06a4308_0``, ``pyhd8ed1ab_0``."""
    parts = file_name.removesuffix(".json").rsplit("-", _NAME_PARTS - 1)
    if not file_name.endswith(".json") or len(parts) != _NAME_PARTS:
        return False
    return "py" in parts[2] and parts[0] != "python" and normalise(parts[0]) not in known


def _read(root: RootFilesystem, path: str, site: str, prefix_length: int) -> Distribution | None:
    try:
        record: Any = json.loads(root.read(path, _RECORD_BYTES))
        name, version, files = str(record["name"]), str(record["version"]), record["files"]
        below = f"{site[prefix_length:]}/"
        tails = [file.removeprefix(below) for file in files if file.startswith(below)]
    except (Unreadable, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    modules = {tail.partition("/")[0].partition(".")[0] for tail in tails} - {"", "__pycache__"}
    if not modules:
        return None
    return CondaDistribution(site, name, is_file=True, version=version, modules=tuple(sorted(modules)))
