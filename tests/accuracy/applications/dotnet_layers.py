"""Images of the .NET applications: a real runtime, real packages' assemblies, and what is compiled here.

The runtime is that of the wheel ``dotnetcore2``; the third-party assemblies are those that published
versions of ``azureml-dataprep`` carry. The applications are compiled by Mono's ``mcs`` against the
runtime's own assemblies, and laid out as ``dotnet publish`` would, deps.json included.
"""

from __future__ import annotations

import json
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from tests.accuracy.applications.wheels import Wheel
from tests.ground import Ground, Image
from tests.ground.image import key
from tests.ground.problem import run

APPS = Path(__file__).parents[1] / "apps" / "dotnet"
DOTNET = "/usr/share/dotnet"
VERSION = "3.1.23"
FRAMEWORK = f"{DOTNET}/shared/Microsoft.NETCore.App/{VERSION}"
FXR = f"{DOTNET}/host/fxr/{VERSION}/libhostfxr.so"

_RUNTIME = Wheel(
    "dotnetcore2",
    "3.1.23",
    "py3-none-manylinux1_x86_64",
    "5f076ddc39da0c685e7de20ecb91ee81185928918ec86fbeb3bffc55dd867ab5",
)
_NEW = Wheel(
    "azureml-dataprep",
    "2.0.2",
    "py3-none-any",
    "9b9e97d9ed29c0641d3ceb37745ff078143bd235c53df528f847ec0684c52f79",
)
_OLD = Wheel(
    "azureml-dataprep",
    "0.5.3",
    "py3-none-any",
    "ce47102da1a4045f519196297a7e35d8aad8ad4a11907cdae30049b3378b506e",
)
ENGINE = "azureml/dataprep/api/engineapi/bin"

# Which package each assembly was published in: read off the packages themselves, by hand.
NEW_PACKAGES = {
    "AngleSharp.dll": "AngleSharp/0.9.10",
    "Azure.Core.dll": "Azure.Core/1.2.1",
    "Azure.Identity.dll": "Azure.Identity/1.1.1",
    "ExcelDataReader.dll": "ExcelDataReader/3.6.0",
    "ICSharpCode.SharpZipLib.dll": "SharpZipLib/1.2.0",
    "IronSnappy.dll": "IronSnappy/1.2.2",
    "MathNet.Numerics.dll": "MathNet.Numerics/4.8.1",
    "Microsoft.Data.Edm.dll": "Microsoft.Data.Edm/5.8.4",
    "Microsoft.Data.OData.dll": "Microsoft.Data.OData/5.8.4",
    "Microsoft.Identity.Client.dll": "Microsoft.Identity.Client/4.1.0",
    "NLog.dll": "NLog/4.6.7",
    "Newtonsoft.Json.dll": "Newtonsoft.Json/10.0.3",
    "Npgsql.dll": "Npgsql/4.0.9",
    "Parquet.dll": "Parquet.Net/3.7.4",
    "Polly.Contrib.WaitAndRetry.dll": "Polly.Contrib.WaitAndRetry/1.1.1",
    "Polly.dll": "Polly/6.1.0",
    "System.Interactive.dll": "System.Interactive/3.2.0",
    "System.Reactive.dll": "System.Reactive/4.1.6",
    "System.Spatial.dll": "System.Spatial/5.8.4",
    "YamlDotNet.dll": "YamlDotNet/6.1.2",
}
OLD_PACKAGES = {"NLog.dll": "NLog/5.0.0-beta05", "YamlDotNet.dll": "YamlDotNet/4.3.1"}

SHOP = (
    *("Newtonsoft.Json.dll", "NLog.dll", "YamlDotNet.dll", "AngleSharp.dll", "Polly.dll", "IronSnappy.dll"),
    *("Polly.Contrib.WaitAndRetry.dll", "ICSharpCode.SharpZipLib.dll", "MathNet.Numerics.dll"),
    *("System.Interactive.dll", "System.Reactive.dll"),
)
UNUSED = (
    *("Azure.Core.dll", "Azure.Identity.dll", "ExcelDataReader.dll", "Microsoft.Identity.Client.dll"),
    *("Npgsql.dll", "Parquet.dll"),
)
FRAMEWORK_PACKAGE = "runtime.linux-x64.Microsoft.NETCore.App/3.1.23-servicing.22122.4"
"""The one package with assemblies that the shared framework's own deps.json names."""
HOST_PACKAGE = "runtime.linux-x64.Microsoft.NETCore.DotNetHostPolicy/3.1.23"
"""libhostpolicy.so, in the same file."""
RUNTIME_PACK = "Microsoft.NETCore.App.Runtime.linux-x64/3.1.23"
"""What a self-contained application brings along."""

Layer = Callable[[Path], None]


def purl(package: str) -> str:
    """``Name/1.0`` as a purl."""
    name, _, version = package.partition("/")
    return f"pkg:nuget/{name}@{version}"


def runtime(ground: Ground) -> Path:
    """The layer with the runtime in /usr/share/dotnet."""

    def build(layer: Path) -> None:
        unpack_runtime(layer / DOTNET.lstrip("/"))

    (layer,) = ground.layer_image(
        "accuracy/dotnet:1", key("dotnet-runtime", _RUNTIME.file, "1"), build
    ).layers
    return layer


def unpack_runtime(folder: Path) -> None:
    """The whole runtime, with the ``dotnet`` that starts applications. Raises GroundError."""
    with zipfile.ZipFile(_RUNTIME.path()) as wheel:
        _extract(wheel, "dotnetcore2/bin", folder)
    (folder / "dotnet").chmod(0o755)


def shop(ground: Ground) -> Image:
    """Published framework-dependent: deps.json names what is used and as much that is not."""

    def fill(app: Path, framework: Path) -> None:
        copy_new(app, (*SHOP, *UNUSED))
        compile_to(app / "Prices.dll", framework, ["Prices.cs"], library=True)
        compile_to(app / "Shop.dll", framework, ["Shop.cs", "Truth.cs"], symbols="HTML")
        projects = {"Shop.dll": "Shop/1.0.0", "Prices.dll": "Prices/1.0.0"}
        write_deps(app / "Shop.deps.json", chosen(*SHOP, *UNUSED), projects)
        write_config(app / "Shop.runtimeconfig.json")

    return _image(ground, "shop", fill)


def loose(ground: Ground) -> Image:
    """The same without a deps.json: assemblies are known by what they say of themselves alone.

    Without AngleSharp, whose package 0.9.10 carries an assembly that says 0.9.9 everywhere.
    """

    def fill(app: Path, framework: Path) -> None:
        copy_new(app, SHOP)
        (app / "AngleSharp.dll").unlink()
        compile_to(app / "Prices.dll", framework, ["Prices.cs"], library=True)
        compile_to(app / "Shop.dll", framework, ["Shop.cs", "Truth.cs"])
        write_config(app / "Shop.runtimeconfig.json")

    return _image(ground, "loose", fill)


def self_contained(ground: Ground) -> Image:
    """Published with its runtime beside it, and started by a program of its own."""

    def fill(app: Path, framework: Path) -> None:
        fxr = framework.parents[2] / "host" / "fxr" / VERSION / "libhostfxr.so"
        own = [each for each in (*framework.iterdir(), fxr) if each.suffix in {".dll", ".so"}]
        for each in own:
            shutil.copy(each, app)
        copy_new(app, SHOP)
        compile_to(app / "Prices.dll", framework, ["Prices.cs"], library=True)
        compile_to(app / "Shop.dll", framework, ["Shop.cs", "Truth.cs"], symbols="HTML")
        packages = {each.name: f"runtimepack.{RUNTIME_PACK}" for each in own} | chosen(*SHOP)
        projects = {"Shop.dll": "Shop/1.0.0", "Prices.dll": "Prices/1.0.0"}
        write_deps(app / "Shop.deps.json", packages, projects, target="/linux-x64")
        included = [{"name": "Microsoft.NETCore.App", "version": VERSION}]
        config = {"runtimeOptions": {"tfm": "netcoreapp3.1", "includedFrameworks": included}}
        (app / "Shop.runtimeconfig.json").write_text(json.dumps(config, indent=2))
        compile_host(app / "Shop")

    return _image(ground, "self-contained", fill, with_runtime=False)


def plugins(ground: Ground) -> Image:
    """Plug-ins: two with a deps.json and other versions of the same assemblies, one without."""

    def fill(app: Path, framework: Path) -> None:
        compile_to(app / "Plugins.dll", framework, ["Plugins.cs", "Truth.cs"])
        write_deps(app / "Plugins.deps.json", {}, {"Plugins.dll": "Plugins/1.0.0"})
        write_config(app / "Plugins.runtimeconfig.json")
        for name, copy, packages in (
            ("First", copy_old, OLD_PACKAGES),
            ("Second", copy_new, {each: NEW_PACKAGES[each] for each in OLD_PACKAGES}),
        ):
            folder = app / "plugins" / name
            folder.mkdir(parents=True)
            copy(folder, packages)
            compile_to(folder / f"{name}.dll", framework, ["PluginYaml.cs"], library=True)
            write_deps(folder / f"{name}.deps.json", packages, {f"{name}.dll": f"{name}/1.0.0"})
        third = app / "plugins" / "Third"
        third.mkdir()
        copy_new(third, ["Polly.dll"])
        compile_to(third / "Third.dll", framework, ["PluginRetry.cs"], library=True)

    return _image(ground, "plugins", fill)


def languages(ground: Ground) -> Image:
    """Satellite assemblies, and an assembly that is read as bytes."""
    used = ("Microsoft.Data.OData.dll", "Microsoft.Data.Edm.dll", "System.Spatial.dll")

    def fill(app: Path, framework: Path) -> None:
        copy_new(app, used)
        copy_new(app, [f"{culture}/{each[:-4]}.resources.dll" for culture in ("de", "fr") for each in used])
        (app / "modules").mkdir()
        copy_new(app / "modules", ["NLog.dll"])
        compile_to(app / "Languages.dll", framework, ["Languages.cs", "Truth.cs"])
        write_deps(
            app / "Languages.deps.json", chosen(*used), {"Languages.dll": "Languages/1.0.0"}, ("de", "fr")
        )
        write_config(app / "Languages.runtimeconfig.json")

    return _image(ground, "languages", fill)


def single_file(ground: Ground) -> Image:
    """One file, as .NET Core 3 makes it: everything is extracted at the start, deps.json too."""

    def fill(app: Path, framework: Path) -> None:
        parts = app / "parts"
        parts.mkdir()
        copy_new(parts, (*SHOP, *UNUSED))
        compile_to(parts / "Prices.dll", framework, ["Prices.cs"], library=True)
        compile_to(parts / "Shop.dll", framework, ["Shop.cs", "Truth.cs"], symbols="HTML")
        projects = {"Shop.dll": "Shop/1.0.0", "Prices.dll": "Prices/1.0.0"}
        write_deps(parts / "Shop.deps.json", chosen(*SHOP, *UNUSED), projects)
        write_config(parts / "Shop.runtimeconfig.json")
        compile_host(app / "Shop")
        bundle(app / "Shop", sorted(parts.iterdir()))
        shutil.rmtree(parts)

    return _image(ground, "single-file", fill)


def engine(ground: Ground) -> Image:
    """A published application as it is, with a start-up hook that tells its truth."""

    def fill(app: Path, framework: Path) -> None:
        with zipfile.ZipFile(_NEW.path()) as wheel:
            _extract(wheel, ENGINE, app / "bin")
        compile_to(app / "hook" / "Hook.dll", framework, ["Hook.cs", "Truth.cs"], library=True)
        (app / "logs").mkdir()
        shutil.copy(APPS / "engine-requests.jsonl", app / "requests.jsonl")

    return _image(ground, "engine", fill)


def engine_packages() -> dict[str, str | None]:
    """File below its folder -> package, None for what its own projects built, as it was published."""
    with zipfile.ZipFile(_NEW.path()) as wheel:
        document = json.loads(wheel.read(f"{ENGINE}/Microsoft.DPrep.Execution.EngineHost.deps.json"))
    (target,) = document["targets"].values()
    packages: dict[str, str | None] = {}
    for package, assets in target.items():
        own = document["libraries"][package]["type"] == "project"
        for path in assets.get("runtime", {}):
            packages[path.rpartition("/")[2]] = None if own else package
        for path in assets.get("runtimeTargets", {}):
            packages[path] = package
    return packages


def chosen(*names: str) -> dict[str, str]:
    return {name: NEW_PACKAGES[name] for name in names}


def copy_new(folder: Path, names: Iterable[str]) -> None:
    _copy(_NEW, folder, names)


def copy_old(folder: Path, names: Iterable[str]) -> None:
    _copy(_OLD, folder, names)


def compile_to(
    target: Path, framework: Path, sources: Sequence[str], *, library: bool = False, symbols: str = ""
) -> None:
    """Compile against the runtime's assemblies and those that lie beside ``target``."""
    target.parent.mkdir(exist_ok=True)
    system = [each for each in framework.glob("*.dll") if ".Native" not in each.name]
    beside = [each for each in target.parent.glob("*.dll") if each.name not in {one.name for one in system}]
    with tempfile.NamedTemporaryFile("w", suffix=".rsp") as references:
        references.writelines(f"-r:{each}\n" for each in system + beside)
        references.flush()
        command = ["mcs", "-nostdlib", "-noconfig", f"@{references.name}", f"-out:{target}"]
        command += ["-target:library"] if library else []
        command += [f"-define:{symbols}"] if symbols else []
        run([*command, *(str(APPS / source) for source in sources)], timeout=120)


def compile_host(target: Path) -> None:
    # The libraries that .NET Core 3's own is linked with: libhostfxr.so then opens none of them itself.
    libraries = ["-Wl,--no-as-needed", "-ldl", "-lpthread", "-lstdc++", "-lm", "-lgcc_s"]
    run(["gcc", "-O1", "-Wall", "-o", str(target), str(APPS / "host.c"), *libraries])


def write_config(target: Path) -> None:
    framework = {"name": "Microsoft.NETCore.App", "version": "3.1.0"}
    content = {"runtimeOptions": {"tfm": "netcoreapp3.1", "framework": framework}}
    target.write_text(json.dumps(content, indent=2))


def write_deps(
    path: Path,
    packages: Mapping[str, str],
    projects: Mapping[str, str],
    cultures: Sequence[str] = (),
    target: str = "",
) -> None:
    """As ``dotnet publish`` writes it; ``packages`` and ``projects``: file -> ``Name/version``."""
    framework = f".NETCoreApp,Version=v3.1{target}"
    main = next(iter(projects.values()))
    entries: dict[str, dict[str, dict[str, object]]] = {package: {} for package in projects.values()}
    entries[main]["dependencies"] = {
        name: version for name, _, version in (each.partition("/") for each in packages.values())
    }
    for file, project in projects.items():
        entries[project].setdefault("runtime", {})[file] = {}
    for file, package in packages.items():
        pack = package.startswith("runtimepack.")
        group = "native" if file.endswith(".so") else "runtime"
        folder = "" if pack else "lib/netstandard2.0/"
        entries.setdefault(package, {}).setdefault(group, {})[f"{folder}{file}"] = {}
        for culture in cultures:
            resources = entries[package].setdefault("resources", {})
            resources[f"{folder}{culture}/{file[:-4]}.resources.dll"] = {"locale": culture}
    kinds = {
        each: "project"
        if each in projects.values()
        else "runtimepack"
        if each.startswith("runtimepack.")
        else "package"
        for each in entries
    }
    libraries = {each: {"type": kind, "serviceable": False, "sha512": ""} for each, kind in kinds.items()}
    document = {
        "runtimeTarget": {"name": framework, "signature": ""},
        "compilationOptions": {},
        "targets": {framework: entries},
        "libraries": libraries,
    }
    path.write_text(json.dumps(document, indent=2))


SIGNATURE = bytes.fromhex("8b1202b96a612038727b930214d7a03213f5b9e6efae3318ee3b2dce24b36aae")
"""What the host's marker begins with after its 8 bytes (bundle_marker.cpp)."""


def bundle(program: Path, files: Iterable[Path]) -> None:
    """Append ``files`` and a manifest of version 1 to ``program`` (Bundler.cs and Manifest.cs of 3.1)."""
    content = bytearray(program.read_bytes())
    manifest = bytearray()
    entries = 0
    for file in files:
        content += b"\0" * (-len(content) % 16)
        data = file.read_bytes()
        manifest += struct.pack("<qqB", len(content), len(data), 1) + _text(file.name)
        content += data
        entries += 1
    place = content.index(SIGNATURE)
    content[place - 8 : place] = struct.pack("<q", len(content))
    program.write_bytes(content + struct.pack("<IIi", 1, 0, entries) + _text("n2fxkzqb.ow1") + manifest)


def _text(text: str) -> bytes:
    assert len(text) < 128
    return bytes([len(text)]) + text.encode()


def _image(
    ground: Ground, name: str, fill: Callable[[Path, Path], None], *, with_runtime: bool = True
) -> Image:
    base = runtime(ground)

    def build(layer: Path) -> None:
        app = layer / "app"
        app.mkdir()
        fill(app, base / FRAMEWORK.lstrip("/"))

    sources = [each.read_bytes() for each in sorted(APPS.iterdir())]
    recipe = Path(__file__).read_bytes()
    own = ground.layer_image(f"accuracy/dotnet-{name}:1", key(f"dotnet-{name}", recipe, *sources), build)
    return Image(own.name, (*own.layers, base)) if with_runtime else own


def _copy(wheel: Wheel, folder: Path, names: Iterable[str]) -> None:
    with zipfile.ZipFile(wheel.path()) as archive:
        for name in names:
            target = folder / name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(archive.read(f"{ENGINE}/{name}"))


def _extract(archive: zipfile.ZipFile, below: str, target: Path) -> None:
    for member in archive.infolist():
        if member.filename.startswith(f"{below}/") and not member.is_dir():
            path = target / member.filename[len(below) + 1 :]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(member))
