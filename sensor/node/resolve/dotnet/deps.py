"""<application>.deps.json -> which package each file of the application is of.

The format: dotnet/sdk, documentation/specs/runtime-configuration-file.md. Where the files lie:
dotnet/runtime, src/native/corehost (deps_format.cpp, deps_entry.cpp, deps_resolver.cpp): assemblies and
native libraries by their file name beside deps.json, resources in the folder of their culture, what is
for one kind of machine (runtimeTargets) at the path as written, and ``localPath`` where it is given.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sensor.model.package import Package
from sensor.node.resolve.dotnet.nuget import nuget_package

LIMIT = 4 << 20
"""Bytes of a deps.json. Those of large applications have some 500 KiB."""

_ASSETS = 20_000
_PATH = 1024
_RUNTIME_PACK = "runtimepack."
_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_LIBRARY_FOLDER = re.compile(r"(?:runtimes/[^/]+/)?lib/net[^/]+/", re.IGNORECASE)


class NotDeps(Exception):
    """Not what hosts read as a deps.json."""


@dataclass(frozen=True, slots=True)
class Asset:
    """``package`` is None for what the application's own projects built. ``version`` is that of the file."""

    package: Package | None
    version: str = ""


@dataclass(frozen=True, slots=True)
class Deps:
    """Assets by their path relative to the folder of the application, in lower case."""

    assets: Mapping[str, tuple[Asset, ...]] = field(default_factory=dict)

    def owners(self, relative: str) -> tuple[Asset, ...]:
        return self.assets.get(relative.lower(), ())


def parse_deps(content: bytes) -> Deps:
    """Raises NotDeps. Comments, and anything after the object, are taken as hosts take them."""
    document = _load(content)
    targets = document.get("targets")
    if not isinstance(targets, dict) or not targets:
        raise NotDeps("no targets")
    runtime = document.get("runtimeTarget")
    name = runtime.get("name") if isinstance(runtime, dict) else runtime
    target = targets.get(name) if isinstance(name, str) else None
    if target is None:
        target = next(iter(targets.values()))
    libraries = document.get("libraries")
    if not isinstance(target, dict):
        raise NotDeps("no target")
    return Deps(_collect(target, libraries if isinstance(libraries, dict) else {}))


def _load(content: bytes) -> dict[str, object]:
    text = content.decode("utf-8-sig", "replace").lstrip()
    try:
        try:
            document, _ = json.JSONDecoder().raw_decode(text)
        except ValueError:
            document, _ = json.JSONDecoder().raw_decode(
                _COMMENT.sub(lambda found: found[1] or " ", text).lstrip()
            )
    except (ValueError, RecursionError) as error:
        raise NotDeps(str(error)[:200]) from error
    if not isinstance(document, dict):
        raise NotDeps("not an object")
    return document


def _collect(target: dict[str, object], libraries: dict[str, object]) -> dict[str, tuple[Asset, ...]]:
    found: dict[str, tuple[Asset, ...]] = {}
    left = _ASSETS
    for key, groups in target.items():
        library = libraries.get(key)
        library = library if isinstance(library, dict) else {}
        kind = library.get("type", "package")
        if not isinstance(groups, dict) or kind not in _KINDS:
            continue
        package = _package(key) if kind in _PACKAGES else None
        if package is None and kind in _PACKAGES:
            continue
        for path, version in _files(groups):
            asset = Asset(package, version)
            before = found.get(path, ())
            if all(other.package != package for other in before):
                found[path] = (*before, asset)
            left -= 1
            if not left:
                raise NotDeps(f"more than {_ASSETS} assets")
    return found


# Others ("reference": a DLL that the project names by its path) are known by themselves alone.
_PACKAGES = ("package", "runtimepack")
_KINDS = (*_PACKAGES, "project", "msbuildproject")


def _package(key: str) -> Package | None:
    name, _, version = key.partition("/")
    return nuget_package(name.removeprefix(_RUNTIME_PACK), version or None)


def _files(groups: dict[str, object]) -> Iterator[tuple[str, str]]:
    """Where each asset may lie, in lower case, and its file version."""
    for group in ("runtime", "native", "resources", "runtimeTargets"):
        assets = groups.get(group)
        if not isinstance(assets, dict):
            continue
        for path, told in assets.items():
            facts = told if isinstance(told, dict) else {}
            if len(path) > _PATH or path.endswith("/_._"):  # a placeholder: "nothing for this framework"
                continue
            version = facts.get("fileVersion")
            for place in _places(group, path, facts.get("localPath")):
                yield place.lower(), version if isinstance(version, str) else ""


def _places(group: str, path: str, local: object) -> Iterator[str]:
    path = path.replace("\\", "/").lstrip("/")
    if isinstance(local, str) and 0 < len(local) <= _PATH:
        yield local.replace("\\", "/")
        return
    if group == "runtimeTargets":
        yield path
        return
    parts = path.split("/")
    near = "/".join(parts[-2:] if group == "resources" else parts[-1:])
    yield near
    below = _LIBRARY_FOLDER.sub("", path, count=1)
    if below != near:
        yield below
