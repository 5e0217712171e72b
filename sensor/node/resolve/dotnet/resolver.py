"""An assembly that a .NET runtime opened -> the NuGet package it came from."""

from __future__ import annotations

import re

from sensor.model.package import Ecosystem, Evidence, Package, PackageUse, Skipped, SkipReason
from sensor.node.resolve.dotnet.applications import Applications
from sensor.node.resolve.dotnet.assembly import Assembly, read_assembly
from sensor.node.resolve.dotnet.deps import Asset, Deps
from sensor.node.resolve.dotnet.nuget import PackageFolder, nuget_package, nuspec_identity, package_folder
from sensor.node.resolve.dotnet.pe import NotPortableExecutable
from sensor.node.resolve.dotnet.single_file import SingleFiles
from sensor.node.resolve.dotnet.weighed import WeighedCache
from sensor.node.resolve.dotnet.window import BadImage, Window
from sensor.node.resolve.interface import Resolution
from sensor.node.resolve.lru import LruCache
from sensor.node.rootfs import FileIdentity, RootFilesystem, Unreadable

_ASSEMBLIES = 8192
_EXTRACTIONS = 256
_EXTRACTED_ASSETS = 60_000
_NUSPEC_LIMIT = 256 << 10
_NAME_LENGTH = 256

_MANAGED = (".dll", ".exe")
_NATIVE = re.compile(r"\.so(?:\.\d+)*", re.IGNORECASE)
_REFERENCE_FOLDER = re.compile(r"/(?:ref|refint)/(?:net[^/]*/)?[^/]+$", re.IGNORECASE)
_CORE = "System.Private.CoreLib.dll"

_NOTHING = Skipped(SkipReason.NOT_A_PACKAGE)
_Owner = Package | Skipped


class DotnetResolver:
    """See :class:`sensor.node.resolve.interface.Resolver`, and ``ProgramResolver``."""

    def __init__(self) -> None:
        self.applications = Applications()
        self.single_files = SingleFiles()
        # What an assembly says of itself; True for a file that is none.
        self.assemblies: LruCache[FileIdentity, Assembly | bool] = LruCache(_ASSEMBLIES)
        # Of executed bundles, by the name of the folder that they extract files to.
        self.extracted: WeighedCache[str, Deps] = WeighedCache(
            _EXTRACTIONS, _EXTRACTED_ASSETS, lambda deps: len(deps.assets)
        )

    @property
    def ecosystem(self) -> Ecosystem:
        return Ecosystem.NUGET

    @property
    def opener_matters(self) -> bool:
        return True

    def claims(self, path: str) -> bool:
        return path[-4:].lower() in _MANAGED or is_native(path)

    def sweep(self) -> None:
        # Not ``extracted``: its program was executed once, and files of it may be opened much later.
        self.applications.sweep()
        self.single_files.sweep()
        self.assemblies.sweep()

    def resolve(self, root: RootFilesystem, path: str) -> Resolution:
        if not path.startswith("/"):
            return Skipped(SkipReason.PATH_TRUNCATED, path)
        try:
            owner = self._owner(root, path)
        except Unreadable as error:
            return error.skipped()
        except NotPortableExecutable:
            return _NOTHING  # no runtime loads it either
        except BadImage as error:
            return Skipped(SkipReason.MALFORMED, f"{path}: {error}")
        except OSError as error:
            return Skipped(SkipReason.IO_ERROR, f"{path}: {error.strerror}")
        return owner if isinstance(owner, Skipped) else (PackageUse(owner, Evidence.OPENED, path),)

    def resolve_program(self, root: RootFilesystem, path: str) -> Resolution:
        """Only a bundle proves anything: the assemblies of other programs are opened one by one."""
        if not path.startswith("/"):
            return Skipped(SkipReason.PATH_TRUNCATED, path)
        try:
            contents = self.single_files.contents(root, path)
        except Unreadable as error:
            return error.skipped()
        except BadImage as error:
            return Skipped(SkipReason.MALFORMED, f"{path}: {error}")
        except OSError as error:
            return Skipped(SkipReason.IO_ERROR, f"{path}: {error.strerror}")
        if contents is None:
            return _NOTHING
        if 0 < len(contents.identifier) <= _NAME_LENGTH:
            self.extracted.put(contents.identifier, contents.deps)
        return (
            tuple(
                PackageUse(
                    package, Evidence.EXECUTED if package == contents.started else Evidence.BUNDLED, path
                )
                for package in contents.packages
            )
            or _NOTHING
        )

    def _owner(self, root: RootFilesystem, path: str) -> _Owner:
        status = root.stat(path)
        if not status.is_regular:
            return Skipped(SkipReason.NOT_REGULAR, path)
        native = is_native(path)
        declared = self.applications.owners(root, path) or self._extracted_owners(path)
        if declared:
            return self._chosen(root, path, declared)
        folder = package_folder(path)
        if folder is not None and (package := self._in_package_folder(root, folder, path)) is not None:
            return package
        return _NOTHING if native else self._told_by_itself(root, path)

    def _extracted_owners(self, path: str) -> tuple[Asset, ...]:
        """What the deps.json inside an executed bundle says of a file that it extracted."""
        if not len(self.extracted):
            return ()
        parts = path.split("/")
        for place, name in enumerate(parts[:-1]):
            deps = self.extracted.get(name) if name else None
            if deps is not None:
                return deps.owners("/".join(parts[place + 1 :]))
        return ()

    def _chosen(self, root: RootFilesystem, path: str, declared: tuple[Asset, ...]) -> _Owner:
        """Where applications of one folder disagree, the one whose deps.json has the file's version."""
        if len(declared) > 1:
            assembly = self._assembly(root, path) if not is_native(path) else None
            version = assembly.file_version if assembly is not None else ""
            declared = tuple(asset for asset in declared if asset.version == version) or declared
        return declared[0].package or _NOTHING

    def _in_package_folder(self, root: RootFilesystem, folder: PackageFolder, path: str) -> _Owner | None:
        """The package that a folder is named after. None when it only looks so."""
        try:
            told = nuspec_identity(root.read(folder.nuspec, _NUSPEC_LIMIT))
        except Unreadable:
            told = None
        if told is not None and told[0].lower() == folder.name.lower():
            name, version = told[0], folder.version
        elif folder.sure:
            name, version = self._cased(root, folder.name, path), folder.version
        else:
            return None
        return _NOTHING if folder.reference else nuget_package(name, version)

    def _cased(self, root: RootFilesystem, name: str, path: str) -> str:
        """Folders are in lower case; most packages are named as their assembly."""
        try:
            assembly = self._assembly(root, path) if not is_native(path) else None
        except (BadImage, Unreadable, OSError):
            assembly = None
        return assembly.name if assembly is not None and assembly.name.lower() == name.lower() else name

    def _told_by_itself(self, root: RootFilesystem, path: str) -> _Owner:
        assembly = self._assembly(root, path)
        if assembly is None or assembly.reference or _REFERENCE_FOLDER.search(path):
            return _NOTHING
        if assembly.culture and assembly.name.endswith(".resources"):
            parent = self._parent(root, path, assembly)
            if parent is not None:
                return parent
        if assembly.own or (assembly.runtime and _is_file(root, f"{path[: path.rfind('/')]}/{_CORE}")):
            return _NOTHING
        return assembly.package or _NOTHING

    def _parent(self, root: RootFilesystem, path: str, satellite: Assembly) -> _Owner | None:
        """The owner of the assembly whose resources these are: it lies in the folder above."""
        above = path[: path.rfind("/")]
        name = satellite.name.removesuffix(".resources")
        parent = f"{above[: above.rfind('/')]}/{name}.dll"
        if "/" in name or name.endswith(".resources") or not _is_file(root, parent):
            return None
        return self._owner(root, parent)

    def _assembly(self, root: RootFilesystem, path: str) -> Assembly | None:
        """Raises BadImage, Unreadable, and OSError."""
        status = root.stat(path)
        known = self.assemblies.get(status.identity)
        if known is None:
            with root.open(path) as file:
                known = read_assembly(Window(file, 0, status.size)) or True
            self.assemblies.put(status.identity, known)
        return known if isinstance(known, Assembly) else None


def is_native(path: str) -> bool:
    """Whether the file's name is that of a shared object."""
    place = path.rfind(".so")
    if place < 0:
        place = path.lower().rfind(".so")
    return place >= 0 and _NATIVE.fullmatch(path, place) is not None


def _is_file(root: RootFilesystem, path: str) -> bool:
    try:
        return root.stat(path).is_regular
    except Unreadable:
        return False
