""".NET: what deps.json says of a file."""

from __future__ import annotations

from tests.edges.case import Case, Expected
from tests.edges.dotnet_bytes import deps, runtime
from tests.edges.dotnet_case import CONFIG, HOST, NEWTONSOFT, NUGET, OWN, declared, expected, published

_SHARED = "/usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.11"

DECLARED = (
    Case(
        name="an assembly lies beside deps.json by its file name",
        rule=HOST + "deps_entry.cpp, to_dir_path: the directories of a runtime asset are not used",
        files=declared("/app/Serilog.dll", {"Serilog/3.1.1": runtime("lib/net7.0/Serilog.dll")}),
        path="/app/Serilog.dll",
        expected=expected("Serilog", "3.1.1"),
    ),
    Case(
        name="one assembly of a package with another name",
        rule=CONFIG + "the name of the library is that of the package, not that of its assemblies",
        files=declared(
            "/app/ICSharpCode.SharpZipLib.dll",
            {"SharpZipLib/1.4.2": runtime("lib/net6.0/ICSharpCode.SharpZipLib.dll")},
        ),
        path="/app/ICSharpCode.SharpZipLib.dll",
        expected=expected("SharpZipLib", "1.4.2"),
    ),
    Case(
        name="the application's own assembly is listed as a project",
        rule=CONFIG + "type is project for a project reference",
        files=declared("/app/App.dll", {"Serilog/3.1.1": runtime("lib/net7.0/Serilog.dll")}),
        path="/app/App.dll",
        expected="not_a_package",
    ),
    Case(
        name="an assembly for one kind of machine lies at its whole path",
        rule=HOST + "deps_entry.cpp: assets of runtimeTargets keep their relative path",
        files=declared(
            "/app/runtimes/unix/lib/net8.0/Microsoft.Data.SqlClient.dll",
            {
                "Microsoft.Data.SqlClient/5.2.2": {
                    "runtimeTargets": {
                        "runtimes/unix/lib/net8.0/Microsoft.Data.SqlClient.dll": {
                            "rid": "unix",
                            "assetType": "runtime",
                        }
                    }
                }
            },
        ),
        path="/app/runtimes/unix/lib/net8.0/Microsoft.Data.SqlClient.dll",
        expected=expected("Microsoft.Data.SqlClient", "5.2.2"),
    ),
    Case(
        name="a native library of a package without assemblies",
        rule=CONFIG + "native and runtimeTargets list native libraries",
        files=declared(
            "/app/runtimes/linux-x64/native/libe_sqlite3.so",
            {
                "SQLitePCLRaw.lib.e_sqlite3/2.1.6": {
                    "runtimeTargets": {"runtimes/linux-x64/native/libe_sqlite3.so": {"assetType": "native"}}
                }
            },
        ),
        path="/app/runtimes/linux-x64/native/libe_sqlite3.so",
        expected=expected("SQLitePCLRaw.lib.e_sqlite3", "2.1.6"),
    ),
    Case(
        name="a native library published for one kind of machine",
        rule=HOST + "deps_entry.cpp: assets of native lie beside the application by their file name",
        files=declared(
            "/app/libSkiaSharp.so",
            {
                "SkiaSharp.NativeAssets.Linux/2.88.8": {
                    "native": {"runtimes/linux-x64/native/libSkiaSharp.so": {}}
                }
            },
        ),
        path="/app/libSkiaSharp.so",
        expected=expected("SkiaSharp.NativeAssets.Linux", "2.88.8"),
    ),
    Case(
        name="a native library that deps.json does not name",
        rule="seen with .NET Core 3.1.23: its runtime opens libstdc++ and libssl, too",
        files=declared("/app/libother.so", {"Serilog/3.1.1": runtime("lib/net7.0/Serilog.dll")}),
        path="/app/libother.so",
        expected="not_a_package",
    ),
    Case(
        name="a native library without any deps.json",
        rule="no name of a package is in an ELF file",
        files={"/usr/lib/x86_64-linux-gnu/libssl.so.3": b"\x7fELF"},
        path="/usr/lib/x86_64-linux-gnu/libssl.so.3",
        expected="not_a_package",
    ),
    Case(
        name="a satellite assembly lies in the folder of its culture",
        rule=CONFIG + "resources list satellite assemblies; deps_entry.cpp: <culture>/<file>",
        files=declared(
            "/app/de/Humanizer.resources.dll",
            {"Humanizer.Core.de/2.14.1": {"resources": {"lib/net6.0/de/Humanizer.resources.dll": {}}}},
        ),
        path="/app/de/Humanizer.resources.dll",
        expected=expected("Humanizer.Core.de", "2.14.1"),
    ),
    Case(
        name="a satellite assembly of a portable class library",
        rule="seen with System.Spatial 5.7.0: lib/portable-net45+wp8+win8+wpa/de",
        files=declared(
            "/app/de/System.Spatial.resources.dll",
            {
                "System.Spatial/5.7.0": {
                    "resources": {"lib/portable-net45+wp8+win8+wpa/de/System.Spatial.resources.dll": {}}
                }
            },
        ),
        path="/app/de/System.Spatial.resources.dll",
        expected=expected("System.Spatial", "5.7.0"),
    ),
    Case(
        name="localPath says where an asset lies",
        rule=HOST + "deps_format.cpp: localPath is used before the path (.NET 10)",
        files=declared(
            "/app/parts/Serilog.dll",
            {"Serilog/4.2.0": {"runtime": {"lib/net9.0/Serilog.dll": {"localPath": "parts/Serilog.dll"}}}},
        ),
        path="/app/parts/Serilog.dll",
        expected=expected("Serilog", "4.2.0"),
    ),
    Case(
        name="a self-contained application carries its runtime as a runtime pack",
        rule="dotnet/sdk, DependencyContextBuilder.cs: runtimepack.<name of the package>",
        files=declared(
            "/app/System.Private.CoreLib.dll",
            {
                "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.11": runtime(
                    "System.Private.CoreLib.dll"
                )
            },
            kinds={"runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.11": "runtimepack"},
        ),
        path="/app/System.Private.CoreLib.dll",
        expected=expected("Microsoft.NETCore.App.Runtime.linux-x64", "8.0.11"),
    ),
    Case(
        name="a shared framework has a deps.json of its own",
        rule=HOST + "fx_definition.cpp: <framework>.deps.json in its folder",
        files={
            f"{_SHARED}/Microsoft.NETCore.App.deps.json": deps(
                {"Microsoft.NETCore.App.Runtime.linux-x64/8.0.11": runtime("System.Console.dll")}
            ),
            f"{_SHARED}/System.Console.dll": b"MZ",
        },
        path=f"{_SHARED}/System.Console.dll",
        expected=expected("Microsoft.NETCore.App.Runtime.linux-x64", "8.0.11"),
    ),
    Case(
        name="names keep their case, versions their suffix",
        rule=NUGET + "identifiers are compared without case and shown as they were published",
        files=declared(
            "/app/NodaTime.dll", {"NodaTime/3.2.0-beta.1+build.7": runtime("lib/net6.0/NodaTime.dll")}
        ),
        path="/app/NodaTime.dll",
        expected=(
            Expected(
                "pkg:nuget/NodaTime@3.2.0-beta.1%2Bbuild.7", "NodaTime", "3.2.0-beta.1+build.7", "opened"
            ),
        ),
    ),
    Case(
        name="a plug-in with dependencies of its own",
        rule="AssemblyDependencyResolver: the deps.json beside the component is used",
        files={
            "/app/App.deps.json": deps({"NLog/5.3.4": runtime("lib/net5.0/NLog.dll")}, projects=OWN),
            "/app/plugins/P/P.deps.json": deps({"NLog/4.6.7": runtime("lib/netstandard2.0/NLog.dll")}),
            "/app/plugins/P/NLog.dll": b"MZ",
        },
        path="/app/plugins/P/NLog.dll",
        expected=expected("NLog", "4.6.7"),
    ),
    Case(
        name="an assembly below the application that deps.json does not name speaks for itself",
        rule=HOST + "deps_resolver.cpp: by name beside the application only; LoadFrom takes any path",
        files={
            "/app/App.deps.json": deps({"Other/1.0.0": runtime("lib/net5.0/Other.dll")}, projects=OWN),
            "/app/plugins/Newtonsoft.Json.dll": NEWTONSOFT,
        },
        path="/app/plugins/Newtonsoft.Json.dll",
        expected=expected("Newtonsoft.Json", "13.0.3"),
    ),
    Case(
        name="applications of one folder that agree",
        rule="seen with a published engine: five deps.json in one folder of 100 assemblies",
        files={
            "/app/One.deps.json": deps({"Polly/6.1.0": runtime("lib/netstandard2.0/Polly.dll")}),
            "/app/Two.deps.json": deps({"Polly/6.1.0": runtime("lib/netstandard1.1/Polly.dll")}),
            "/app/Polly.dll": b"MZ",
        },
        path="/app/Polly.dll",
        expected=expected("Polly", "6.1.0"),
    ),
    Case(
        name="applications of one folder that disagree: the file's version decides",
        rule=CONFIG + "fileVersion is that of the asset",
        files={
            "/app/One.deps.json": deps({"A/1.0.0": runtime("lib/net8.0/A.dll", version="1.0.0.0")}),
            "/app/Two.deps.json": deps({"A/2.0.0": runtime("lib/net8.0/A.dll", version="2.0.0.0")}),
            "/app/A.dll": published("A", "2.0.0", AssemblyFileVersion="2.0.0.0"),
        },
        path="/app/A.dll",
        expected=expected("A", "2.0.0"),
    ),
    Case(
        name="a deps.json with comments and something after its end",
        rule=HOST + "json_parser.cpp: kParseCommentsFlag, kParseStopWhenDoneFlag",
        files={
            "/app/App.deps.json": b"\xef\xbb\xbf// ours\n"
            + deps({"A/1.0.0": runtime("lib/net8.0/A.dll")}).replace(b'"targets"', b'/* "x": 1, */ "targets"')
            + b"\n}}",
            "/app/A.dll": b"MZ",
        },
        path="/app/A.dll",
        expected=expected("A", "1.0.0"),
    ),
    Case(
        name="a deps.json that is none is as none",
        rule=CONFIG + "without one all assemblies of the folder are used",
        files={"/app/App.deps.json": b'{"targets": 7}', "/app/Newtonsoft.Json.dll": NEWTONSOFT},
        path="/app/Newtonsoft.Json.dll",
        expected=expected("Newtonsoft.Json", "13.0.3"),
    ),
    Case(
        name="a DLL that a project refers to by its path is known by itself",
        rule="dotnet/sdk, DependencyContextBuilder.cs: type reference, named after the assembly",
        files=declared(
            "/app/Vendor.dll",
            {"Vendor/4.5.6.0": runtime("Vendor.dll")},
            kinds={"Vendor/4.5.6.0": "reference"},
        )
        | {"/app/Vendor.dll": published("Vendor", "4.5.6")},
        path="/app/Vendor.dll",
        expected=expected("Vendor", "4.5.6"),
    ),
)
