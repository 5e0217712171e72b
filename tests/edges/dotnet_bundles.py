""".NET: single-file programs."""

from __future__ import annotations

import struct

from tests.edges.case import Case, Expected
from tests.edges.dotnet_bytes import assembly, bundle, deps, program, runtime

_MANIFEST = "dotnet/runtime, Microsoft.NET.HostModel, Bundle/Manifest.cs: "
_OWN = {"App/1.0.0": runtime("App.dll")}
_DEPS = deps(
    {
        "Serilog/3.1.1": runtime("lib/net7.0/Serilog.dll"),
        "Absent/1.0.0": runtime("lib/net7.0/Absent.dll"),
        "Humanizer.Core.de/2.14.1": {"resources": {"lib/net6.0/de/Humanizer.resources.dll": {}}},
    },
    projects=_OWN,
)
_FILES = {
    "App.dll": b"MZ",
    "Serilog.dll": b"MZ" * 50,
    "de/Humanizer.resources.dll": b"MZ",
    "App.deps.json": _DEPS,
    "App.runtimeconfig.json": b"{}",
}


def _bundled(name: str, version: str, evidence: str = "bundled") -> Expected:
    return Expected(f"pkg:nuget/{name}@{version}", name, version, evidence)


_EXPECTED = (_bundled("Serilog", "3.1.1"), _bundled("Humanizer.Core.de", "2.14.1"))
_AT = 4096  # of the first file
_OUTSIDE = bundle({"A.dll": b"MZ"}).replace(struct.pack("<qq", _AT, 2), struct.pack("<qq", 1 << 40, 2))
_CORE = "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.11"

_VERSIONS = tuple(
    Case(
        name=f"a bundle of {runtime_name}",
        rule=_MANIFEST + f"version {version}; packages whose files are not in it are not reported",
        files={"/app/App": bundle(_FILES, version)},
        path="/app/App",
        expected=_EXPECTED,
        executed=True,
    )
    for version, runtime_name in ((1, ".NET Core 3"), (2, ".NET 5"), (6, ".NET 6 and later"))
)

BUNDLES = (
    *_VERSIONS,
    Case(
        name="a compressed bundle",
        rule=_MANIFEST + "compressedSize is not zero: raw deflate (from version 6 on)",
        files={"/app/App": bundle(_FILES, packed=("Serilog.dll", "App.deps.json"))},
        path="/app/App",
        expected=_EXPECTED,
        executed=True,
    ),
    Case(
        name="a self-contained bundle runs the runtime that is in it",
        rule="coreclr starts with System.Private.CoreLib: running the program executes it",
        files={
            "/app/App": bundle(
                {
                    "System.Private.CoreLib.dll": b"MZ",
                    "App.deps.json": deps(
                        {_CORE: runtime("System.Private.CoreLib.dll")}, kinds={_CORE: "runtimepack"}
                    ),
                }
            )
        },
        path="/app/App",
        expected=(_bundled("Microsoft.NETCore.App.Runtime.linux-x64", "8.0.11", "executed"),),
        executed=True,
    ),
    Case(
        name="a bundle without a deps.json",
        rule="MSBuild, GenerateDependencyFile=false: assemblies are known by themselves",
        files={
            "/app/App": bundle(
                {
                    "App.dll": assembly("App", runnable=True),
                    "Polly.dll": assembly("Polly", (6, 0, 0, 0), {"AssemblyInformationalVersion": "6.1.0"}),
                }
            )
        },
        path="/app/App",
        expected=(_bundled("Polly", "6.1.0"),),
        executed=True,
    ),
    Case(
        name="a host that starts an application beside it",
        rule="bundle_marker.cpp: the offset of the manifest is zero",
        files={"/app/App": program()},
        path="/app/App",
        expected="not_a_package",
        executed=True,
    ),
    Case(
        name="any other program",
        rule="bundle_marker.cpp: no marker",
        files={"/bin/true": b"\x7fELF" + b"\0" * 200},
        path="/bin/true",
        expected="not_a_package",
        executed=True,
    ),
    Case(
        name="a script",
        rule="execve(2): the interpreter is reported for itself",
        files={"/app/run": b"#!/bin/sh\n"},
        path="/app/run",
        expected="not_a_package",
        executed=True,
    ),
    Case(
        name="a bundle whose manifest is cut off",
        rule=_MANIFEST + "as many entries as it says",
        files={"/app/App": bundle(_FILES)[:-20]},
        path="/app/App",
        expected="malformed",
        executed=True,
    ),
    Case(
        name="a bundle of a version that is not known",
        rule="header.cpp: a host takes exactly its own version",
        files={"/app/App": bundle(_FILES, version=9)},
        path="/app/App",
        expected="malformed",
        executed=True,
    ),
    Case(
        name="a bundled file that would lie outside",
        rule="file_entry.cpp, is_valid: offsets and sizes are not negative, and lie in the file",
        files={"/app/App": _OUTSIDE},
        path="/app/App",
        expected="malformed",
        executed=True,
    ),
)
