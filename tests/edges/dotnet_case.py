"""What the .NET cases share: where rules stand, an application, a well-known assembly."""

from __future__ import annotations

from tests.edges.case import Expected, Link
from tests.edges.dotnet_bytes import assembly, deps, runtime

HOST = "dotnet/runtime, src/native/corehost: "
CONFIG = "dotnet/sdk, documentation/specs/runtime-configuration-file.md: "
NUGET = "NuGet documentation, "
OWN = {"App/1.0.0": runtime("App.dll")}
NEWTONSOFT = assembly(
    "Newtonsoft.Json",
    (13, 0, 0, 0),
    {
        "AssemblyCompany": "Newtonsoft",
        "AssemblyProduct": "Json.NET",
        "AssemblyFileVersion": "13.0.3.27908",
        "AssemblyInformationalVersion": "13.0.3+0a2e291c0d9c0c7675d445703e51750363a549ef",
    },
)


def expected(name: str, version: str | None) -> tuple[Expected, ...]:
    return (Expected(f"pkg:nuget/{name}" + (f"@{version}" if version else ""), name, version),)


def declared(path: str, packages: dict[str, object], **more: object) -> dict[str, bytes | Link]:
    content = deps(packages, projects=OWN, **more)  # type: ignore[arg-type]
    return {"/app/App.deps.json": content, path: b"MZ"}


def published(name: str, version: str, *, company: str = "Someone", product: str = "", **more: str) -> bytes:
    told = {"AssemblyCompany": company, "AssemblyProduct": product or name} | more
    return assembly(name, (1, 0, 0, 0), told | {"AssemblyInformationalVersion": version})
