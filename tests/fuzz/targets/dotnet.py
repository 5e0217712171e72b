"""Parsers of what .NET containers hold: assemblies, deps.json, single-file programs, names of folders."""

from __future__ import annotations

import io

from sensor.node.introspect.dotnet import entries_mapped
from sensor.node.resolve.dotnet.assembly import read_assembly
from sensor.node.resolve.dotnet.bundle import read_bundle
from sensor.node.resolve.dotnet.deps import NotDeps, parse_deps
from sensor.node.resolve.dotnet.metadata import read_manifest
from sensor.node.resolve.dotnet.nuget import normalized, nuget_package, nuspec_identity, package_folder
from sensor.node.resolve.dotnet.pe import read_headers
from sensor.node.resolve.dotnet.single_file import contents_of
from sensor.node.resolve.dotnet.version_resource import read_strings
from sensor.node.resolve.dotnet.window import BadImage, Window
from tests.edges.dotnet_bytes import portable
from tests.fuzz.target import Target

_ROOM = "sensor.node.resolve.dotnet"


def _window(data: bytes) -> Window:
    return Window(io.BytesIO(data), 0, len(data))


def _assembly(data: bytes) -> None:
    try:
        found = read_assembly(_window(data))
        if found is not None:
            assert found.package is None or found.package.purl.startswith("pkg:nuget/")
    except BadImage:
        return


def _metadata(data: bytes) -> None:
    try:
        read_manifest(_window(data))
    except BadImage:
        return


def _resource(data: bytes) -> None:
    # As the section of a PE file, at the address that the seeds were built for.
    content = portable(data, {2: (0x2000, len(data))})
    try:
        assert len(read_strings(read_headers(_window(content)))) <= 64
    except BadImage:
        return


def _deps(data: bytes) -> None:
    try:
        deps = parse_deps(data)
    except NotDeps:
        return
    for path in deps.assets:
        assert deps.owners(path)


def _bundle(data: bytes) -> None:
    file = io.BytesIO(data)
    try:
        bundle = read_bundle(file, len(data))
        if bundle is None:
            return
        contents = contents_of(file, len(data), bundle)
    except BadImage:
        return
    for entry in contents.entries:
        assert 0 <= entry.offset + entry.stored <= len(data)
    list(entries_mapped(contents.entries, ()))


def _names(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    name, _, version = text.partition("\n")
    package_folder(f"/{name}")
    nuspec_identity(data)
    written = normalized(version)
    package = nuget_package(name, written)
    assert package is None or "\n" not in package.purl
    assert written is None or normalized(written) is not None


TARGETS: tuple[Target, ...] = (
    Target("dotnet_assembly", f"{_ROOM}.pe", _assembly),
    Target("dotnet_metadata", f"{_ROOM}.metadata", _metadata),
    Target("dotnet_resource", f"{_ROOM}.version_resource", _resource),
    Target("dotnet_deps", f"{_ROOM}.deps", _deps),
    Target("dotnet_bundle", f"{_ROOM}.bundle", _bundle),
    Target("dotnet_names", f"{_ROOM}.nuget", _names),
)
