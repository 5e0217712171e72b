"""An assembly by itself -> the package it is, as far as its own bytes tell.

Needed where no deps.json speaks: plug-ins, programs published without one, shadow copies, Mono. The name
is the assembly's, which most packages share (`dotnet pack` takes it for both); the version is
AssemblyInformationalVersion, which is where `dotnet pack` puts that of the package.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sensor.model.package import Package
from sensor.node.resolve.dotnet.metadata import Manifest, read_manifest
from sensor.node.resolve.dotnet.nuget import normalized, nuget_package
from sensor.node.resolve.dotnet.pe import PortableExecutable, read_headers
from sensor.node.resolve.dotnet.version_resource import read_strings
from sensor.node.resolve.dotnet.window import BadImage, Window

# Libraries of .NET Core 1 to 3 carry the version of the release they were built with, not that of their
# package: System.Text.Json 4.6.0 says 3.0.0. From .NET 5 on they are the same.
_CORE = "microsoft® .net core"
_FRAMEWORK = "microsoft® .net framework"
_RUNTIME_PRODUCTS = ("microsoft® .net", _CORE, _FRAMEWORK)
# Before that they said ".NET Framework" and a build: 4.6.25519.03, 4.0.0.0.
_BUILD = re.compile(r"\d+\.\d+\.\d{5,}")
# The class library of Mono, wherever it lies: a standard library (mcs/class/Consts.cs.in).
_MONO = frozenset({"mono common language infrastructure", "mono cli"})
# Well-known assemblies whose package has another name.
_PUBLISHED_AS = {
    "icsharpcode.sharpziplib": "SharpZipLib",
    "ionic.zip": "DotNetZip",
    "itextsharp": "iTextSharp",
    "microsoft.data.sqlite": "Microsoft.Data.Sqlite.Core",
    "microsoft.identitymodel.clients.activedirectory.platform": (
        "Microsoft.IdentityModel.Clients.ActiveDirectory"
    ),
    "microsoft.practices.servicelocation": "CommonServiceLocator",
    "mono.cecil.mdb": "Mono.Cecil",
    "mono.cecil.pdb": "Mono.Cecil",
    "mono.cecil.rocks": "Mono.Cecil",
    "nunit.framework": "NUnit",
    "parquet": "Parquet.Net",
    "python.runtime": "pythonnet",
    "renci.sshnet": "SSH.NET",
    "sqlitepclraw.batteries_v2": "SQLitePCLRaw.bundle_e_sqlite3",
}
_UNVERSIONED = frozenset({None, "0.0.0"})
_DEFAULT = "1.0.0"


@dataclass(frozen=True, slots=True)
class Assembly:
    """``version`` as NuGet would write it, None when the bytes do not tell. ``file_version`` as written.

    ``reference``: only for compilers. ``own``: nothing marks it as published, so it is the
    application's, or Mono's class library. ``runtime``: built with .NET itself.
    """

    name: str
    version: str | None
    file_version: str
    culture: str
    reference: bool
    own: bool
    runtime: bool

    @property
    def package(self) -> Package | None:
        name = self.name.removesuffix(".resources")  # of a satellite whose parent is not there
        return nuget_package(_PUBLISHED_AS.get(name.lower(), name), self.version)


def read_assembly(window: Window) -> Assembly | None:
    """Return what the file says of itself, None for what is no assembly. Raises BadImage, and OSError."""
    file = read_headers(window)
    manifest = read_manifest(file.metadata) if file.metadata is not None else None
    return None if manifest is None or not manifest.name else _assembly(file, manifest)


def _assembly(file: PortableExecutable, manifest: Manifest) -> Assembly:
    told = manifest.attributes
    informational = told.get("AssemblyInformationalVersionAttribute", "")
    file_version = told.get("AssemblyFileVersionAttribute", "")
    product = told.get("AssemblyProductAttribute", "")
    if not informational:
        resource = _resource(file)
        informational = resource.get("ProductVersion", "")
        file_version = file_version or resource.get("FileVersion", "")
        product = product or resource.get("ProductName", "")
    version = normalized(informational) or normalized(file_version)
    product = product.lower().strip()
    if any(manifest.version) and (version in _UNVERSIONED or _is_foreign_build(version, product)):
        version = normalized(".".join(map(str, manifest.version)))
    own = file.runnable or version in _UNVERSIONED or _is_default(manifest, version)
    return Assembly(
        manifest.name,
        None if version is None or _is_release(version, product) else version,
        file_version,
        manifest.culture,
        "ReferenceAssemblyAttribute" in told,
        own or product in _MONO,
        product in _RUNTIME_PRODUCTS,
    )


def _resource(file: PortableExecutable) -> dict[str, str]:
    try:
        return read_strings(file)
    except BadImage:
        return {}  # the runtime does not read it either


def _is_foreign_build(version: str | None, product: str) -> bool:
    """Whether it is a build's number of somebody whose assembly has a version of its own."""
    return version is not None and product not in _RUNTIME_PRODUCTS and _BUILD.match(version) is not None


def _is_release(version: str, product: str) -> bool:
    """Whether ``version`` is that of a release of .NET, or of a build, rather than of the package."""
    return (
        product == _CORE
        or (product == _FRAMEWORK and version == "4.0.0")
        or _BUILD.match(version) is not None
    )


def _is_default(manifest: Manifest, version: str | None) -> bool:
    """Whether nobody gave it a version or a maker: then its company is none, or the assembly's name.

    Microsoft.NET.DefaultAssemblyInfo.targets: Version 1.0.0, Company $(Authors), Authors $(AssemblyName).
    """
    company = manifest.attributes.get("AssemblyCompanyAttribute", "").lower()
    return version == _DEFAULT and company in {"", manifest.name.lower()}
