"""Single-file programs -> the packages bundled in them, and where each lies in the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from sensor.model.package import Package
from sensor.node.resolve.dotnet.assembly import read_assembly
from sensor.node.resolve.dotnet.bundle import Bundle, Entry, content_of, read_bundle
from sensor.node.resolve.dotnet.deps import LIMIT, Deps, NotDeps, parse_deps
from sensor.node.resolve.dotnet.weighed import WeighedCache
from sensor.node.resolve.dotnet.window import BadImage, Window
from sensor.node.rootfs import FileIdentity, RootFilesystem

_PROGRAMS = 2048
_KEPT = 60_000
"""Files and assets of all bundles together, some 300 bytes each."""
_READ_THEMSELVES = 512
"""Assemblies that are read one by one, where the bundle has no deps.json."""
_CORE = "system.private.corelib.dll"


@dataclass(frozen=True, slots=True)
class Part:
    """A bundled file of a package."""

    package: Package
    entry: Entry


@dataclass(frozen=True, slots=True)
class Contents:
    """``parts`` in the order of the file. ``started`` is the package of the runtime that runs it, if inside.

    ``deps`` speaks for the files that are extracted below a folder named ``identifier``.
    """

    identifier: str
    deps: Deps
    parts: tuple[Part, ...]
    entries: tuple[Entry, ...]
    started: Package | None

    @property
    def packages(self) -> tuple[Package, ...]:
        return tuple(dict.fromkeys(part.package for part in self.parts))


class SingleFiles:
    """For one thread. Remembers which programs are none, too."""

    def __init__(self) -> None:
        self.programs: WeighedCache[FileIdentity, Contents | BadImage | bool] = WeighedCache(
            _PROGRAMS,
            _KEPT,
            lambda known: len(known.entries) + len(known.deps.assets) if isinstance(known, Contents) else 1,
        )

    def sweep(self) -> None:
        self.programs.sweep()

    def contents(self, root: RootFilesystem, path: str) -> Contents | None:
        """Return what the program bundles, None for one that does not.

        Raises BadImage, Unreadable, and OSError.
        """
        status = root.stat(path)
        if not status.is_regular:
            return None
        known = self.programs.get(status.identity)
        if known is None:
            with root.open(path) as file:
                try:
                    bundle = read_bundle(file, status.size)
                    known = contents_of(file, status.size, bundle) if bundle is not None else True
                except BadImage as error:
                    known = BadImage(*error.args)
            self.programs.put(status.identity, known)
        if isinstance(known, BadImage):
            raise BadImage(*known.args)
        return known if isinstance(known, Contents) else None


def contents_of(file: BinaryIO, size: int, bundle: Bundle) -> Contents:
    """Return the packages of a bundle in a file of ``size`` bytes. Raises OSError."""
    deps = _deps(file, size, bundle)
    parts = tuple(_declared(bundle, deps) if deps.assets else _told(file, bundle))
    started = next((part.package for part in parts if part.entry.path.lower() == _CORE), None)
    # Sorted: the manifest need not be.
    entries = tuple(sorted(bundle.entries, key=lambda entry: entry.offset))
    return Contents(bundle.identifier, deps, parts, entries, started)


def _deps(file: BinaryIO, size: int, bundle: Bundle) -> Deps:
    for entry in bundle.entries:
        if entry.path.lower().endswith(".deps.json") and "/" not in entry.path:
            try:
                return parse_deps(content_of(file, size, entry, LIMIT))
            except (NotDeps, BadImage):
                break
    return Deps()


def _declared(bundle: Bundle, deps: Deps) -> list[Part]:
    return [
        Part(asset.package, entry)
        for entry in bundle.entries
        for asset in deps.owners(entry.path)[:1]
        if asset.package is not None
    ]


def _told(file: BinaryIO, bundle: Bundle) -> list[Part]:
    parts: list[Part] = []
    for entry in bundle.entries[:_READ_THEMSELVES]:
        if entry.packed or not entry.path.lower().endswith((".dll", ".exe")):
            continue
        try:
            assembly = read_assembly(Window(file, entry.offset, entry.size))
        except BadImage:
            continue
        if assembly is not None and not assembly.own and not assembly.reference and not assembly.runtime:
            package = assembly.package
            if package is not None:
                parts.append(Part(package, entry))
    return parts
