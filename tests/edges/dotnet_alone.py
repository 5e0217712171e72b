""".NET: files that no deps.json speaks for: folders named after packages, assemblies by themselves."""

from __future__ import annotations

from tests.edges.case import Case, Link
from tests.edges.dotnet_bytes import assembly, portable
from tests.edges.dotnet_case import HOST, NEWTONSOFT, NUGET, expected, published

FOLDERS = (
    Case(
        name="the global packages folder",
        rule=NUGET + "Managing the global packages folder: <id in lower case>/<version>",
        files={
            "/root/.nuget/packages/newtonsoft.json/13.0.3/newtonsoft.json.nuspec": (
                b"<package><metadata><id>Newtonsoft.Json</id><version>13.0.3</version></metadata></package>"
            ),
            "/root/.nuget/packages/newtonsoft.json/13.0.3/lib/net6.0/Newtonsoft.Json.dll": b"MZ",
        },
        path="/root/.nuget/packages/newtonsoft.json/13.0.3/lib/net6.0/Newtonsoft.Json.dll",
        expected=expected("Newtonsoft.Json", "13.0.3"),
    ),
    Case(
        name="a packages folder elsewhere, told by its nuspec",
        rule=NUGET + "NUGET_PACKAGES moves the global packages folder",
        files={
            "/opt/cache/serilog/4.0.0/serilog.nuspec": b"<id>Serilog</id><version>4.0.0</version>",
            "/opt/cache/serilog/4.0.0/lib/net8.0/Serilog.dll": b"MZ",
        },
        path="/opt/cache/serilog/4.0.0/lib/net8.0/Serilog.dll",
        expected=expected("Serilog", "4.0.0"),
    ),
    Case(
        name="the runtime package store",
        rule=".NET documentation, Runtime package store: store/<arch>/<tfm>/<id>/<version>",
        files={
            "/dotnet/store/x64/net6.0/newtonsoft.json/13.0.3/lib/net6.0/Newtonsoft.Json.dll": (NEWTONSOFT)
        },
        path="/dotnet/store/x64/net6.0/newtonsoft.json/13.0.3/lib/net6.0/Newtonsoft.Json.dll",
        expected=expected("Newtonsoft.Json", "13.0.3"),
    ),
    Case(
        name="packages.config of NuGet 2",
        rule=NUGET + "nuget.exe install: packages/<id>.<version>/lib",
        files={"/srv/packages/Newtonsoft.Json.13.0.3/lib/net45/Newtonsoft.Json.dll": NEWTONSOFT},
        path="/srv/packages/Newtonsoft.Json.13.0.3/lib/net45/Newtonsoft.Json.dll",
        expected=expected("Newtonsoft.Json", "13.0.3"),
    ),
    Case(
        name="a reference assembly in the packages folder",
        rule=NUGET + "ref holds reference assemblies: only compilers read them",
        files={"/root/.nuget/packages/system.runtime/4.3.1/ref/netstandard1.5/System.Runtime.dll": b"MZ"},
        path="/root/.nuget/packages/system.runtime/4.3.1/ref/netstandard1.5/System.Runtime.dll",
        expected="not_a_package",
    ),
    Case(
        name="folders that only look like a package's",
        rule=NUGET + "the folder holds a .nuspec of its name",
        files={"/opt/python/3.11/lib/Newtonsoft.Json.dll": NEWTONSOFT},
        path="/opt/python/3.11/lib/Newtonsoft.Json.dll",
        expected=expected("Newtonsoft.Json", "13.0.3"),
    ),
)

ALONE = (
    Case(
        name="name of the assembly, product version up to the plus",
        rule="AssemblyInformationalVersion is ProductVersion; Json.NET and 13.0.3.27908 are neither",
        files={"/app/Newtonsoft.Json.dll": NEWTONSOFT},
        path="/app/Newtonsoft.Json.dll",
        expected=expected("Newtonsoft.Json", "13.0.3"),
    ),
    Case(
        name="the version resource, where no attribute tells",
        rule="csc writes ProductVersion for an assembly; Win32 VS_VERSIONINFO",
        files={
            "/app/Old.dll": assembly(
                "Old", (2, 0, 0, 0), resource={"ProductVersion": "2.1.5", "FileVersion": "9"}
            )
        },
        path="/app/Old.dll",
        expected=expected("Old", "2.1.5"),
    ),
    Case(
        name="PE32+",
        rule="PE specification, Optional Header: PE32+ has the directories 16 bytes further",
        files={"/app/Wide.dll": assembly("Wide", (3, 2, 1, 0), {"AssemblyCompany": "X"}, wide=True)},
        path="/app/Wide.dll",
        expected=expected("Wide", "3.2.1"),
    ),
    Case(
        name="the suffix .DLL in capitals",
        rule="the runtime takes a path as it is given to LoadFrom",
        files={"/app/NEWTONSOFT.JSON.DLL": NEWTONSOFT},
        path="/app/NEWTONSOFT.JSON.DLL",
        expected=expected("Newtonsoft.Json", "13.0.3"),
    ),
    Case(
        name="versions are normalized",
        rule="NuGet.Versioning, ToNormalizedString: 6.01.0.0 is 6.1.0",
        files={"/app/Polly.dll": published("Polly", "6.01.0.0")},
        path="/app/Polly.dll",
        expected=expected("Polly", "6.1.0"),
    ),
    Case(
        name="a build of a release is the release",
        rule="seen with Microsoft.Extensions.FileSystemGlobbing 2.2.0: 2.2.0-rtm-181110-01",
        files={"/app/M.E.F.dll": published("M.E.F", "2.2.0-rtm-181110-01")},
        path="/app/M.E.F.dll",
        expected=expected("M.E.F", "2.2.0"),
    ),
    Case(
        name="a library of .NET Core 3 carries the release's version, not its own",
        rule="seen with System.Text.Json 4.6.0, whose ProductVersion is 3.0.0",
        files={
            "/app/System.Text.Json.dll": published(
                "System.Text.Json",
                "3.0.0+4ac4c03",
                company="Microsoft Corporation",
                product="Microsoft® .NET Core",
            )
        },
        path="/app/System.Text.Json.dll",
        expected=expected("System.Text.Json", None),
    ),
    Case(
        name="a library of .NET 8 carries its own",
        rule="dotnet/runtime versions packages and the release alike since .NET 5",
        files={
            "/app/System.Text.Json.dll": published(
                "System.Text.Json",
                "8.0.5+81cabf2",
                company="Microsoft Corporation",
                product="Microsoft® .NET",
            )
        },
        path="/app/System.Text.Json.dll",
        expected=expected("System.Text.Json", "8.0.5"),
    ),
    Case(
        name="the runtime beside its application, without a deps.json",
        rule=HOST + "System.Private.CoreLib.dll lies beside a self-contained application",
        files={
            "/app/System.Private.CoreLib.dll": b"MZ",
            "/app/System.Console.dll": published(
                "System.Console", "8.0.11", company="Microsoft Corporation", product="Microsoft® .NET"
            ),
        },
        path="/app/System.Console.dll",
        expected="not_a_package",
    ),
    Case(
        name="a satellite assembly belongs to its parent",
        rule="ResourceManager: <culture>/<name>.resources.dll beside <name>.dll",
        files={
            "/app/Humanizer.dll": published("Humanizer", "2.14.1"),
            "/app/de/Humanizer.resources.dll": assembly("Humanizer.resources", (2, 14, 0, 0), culture="de"),
        },
        path="/app/de/Humanizer.resources.dll",
        expected=expected("Humanizer", "2.14.1"),
    ),
    Case(
        name="a program with an entry point is the application",
        rule="ECMA-335 II.25.3.3.2: EntryPointToken",
        files={"/app/App.dll": assembly("App", (4, 0, 0, 0), {"AssemblyCompany": "X"}, runnable=True)},
        path="/app/App.dll",
        expected="not_a_package",
    ),
    Case(
        name="an assembly that nobody gave a version",
        rule="Microsoft.NETCore.Sdk: 1.0.0, and the assembly's name as its company",
        files={"/app/Prices.dll": published("Prices", "1.0.0+0a2e291", company="Prices")},
        path="/app/Prices.dll",
        expected="not_a_package",
    ),
    Case(
        name="an assembly compiled without any version",
        rule="seen with mcs 6.8: version 0.0.0.0 and no attributes",
        files={"/app/Prices.dll": assembly("Prices")},
        path="/app/Prices.dll",
        expected="not_a_package",
    ),
    Case(
        name="a reference assembly",
        rule="System.Runtime.CompilerServices.ReferenceAssemblyAttribute: cannot be loaded to run",
        files={
            "/app/refs/Newtonsoft.Json.dll": assembly(
                "Newtonsoft.Json", (13, 0, 0, 0), {"AssemblyCompany": "Newtonsoft", "ReferenceAssembly": None}
            )
        },
        path="/app/refs/Newtonsoft.Json.dll",
        expected="not_a_package",
    ),
    Case(
        name="a DLL without CLI header",
        rule="ECMA-335 II.25.3.3: managed code has the CLI header",
        files={"/app/runtimes/win-x64/native/sni.dll": portable(b"native", {})},
        path="/app/runtimes/win-x64/native/sni.dll",
        expected="not_a_package",
    ),
    Case(
        name="a file named .dll that is no PE file",
        rule="PE specification: MZ, and PE at the offset in 0x3c",
        files={"/app/readme.dll": b"text"},
        path="/app/readme.dll",
        expected="not_a_package",
    ),
    Case(
        name="a PE file that is cut off",
        rule="PE specification: sections lie in the file",
        files={"/app/Newtonsoft.Json.dll": NEWTONSOFT[:700]},
        path="/app/Newtonsoft.Json.dll",
        expected="malformed",
    ),
    Case(
        name="a thousand attributes on other things stand before those of the assembly",
        rule="ECMA-335 II.22: CustomAttribute is sorted by its parent",
        files={
            "/app/B.dll": assembly("B", (1, 0, 0, 0), {"AssemblyInformationalVersion": "7.8.9"}, rows=1000)
        },
        path="/app/B.dll",
        expected=expected("B", "7.8.9"),
    ),
    Case(
        name="an attribute of a method is not the assembly's",
        rule="ECMA-335 II.22.10: Parent says what an attribute is on",
        files={
            "/app/C.dll": assembly("C", (1, 2, 3, 0), {"AssemblyCompany": "X"}, stray="ReferenceAssembly")
        },
        path="/app/C.dll",
        expected=expected("C", "1.2.3"),
    ),
    Case(
        name="Mono's class library",
        rule="mcs/class/Consts.cs.in: MonoProduct is Mono Common language infrastructure",
        files={
            "/usr/lib/mono/4.5/System.Xml.dll": published(
                "System.Xml",
                "4.6.57.0",
                company="Mono development team",
                product="Mono Common Language Infrastructure",
            )
        },
        path="/usr/lib/mono/4.5/System.Xml.dll",
        expected="not_a_package",
    ),
    Case(
        name="a link to an assembly",
        rule="open(2) follows links; Debian links assemblies into its cache (/usr/lib/cli)",
        files={"/opt/real.dll": NEWTONSOFT, "/app/Newtonsoft.Json.dll": Link("/opt/real.dll")},
        path="/app/Newtonsoft.Json.dll",
        expected=expected("Newtonsoft.Json", "13.0.3"),
    ),
    Case(
        name="symbols are no evidence",
        rule="debuggers and stack traces read .pdb, loading does not",
        files={"/app/App.pdb": b"BSJB"},
        path="/app/App.pdb",
        expected="not claimed",
    ),
    Case(
        name="an assembly that is gone",
        rule="openat2(2): ENOENT",
        files={"/app/other": b""},
        path="/app/Gone.dll",
        expected="vanished",
    ),
)
