""".NET assemblies and programs: what the edge corpus does not say. Bounds, caches, real compilers."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor.model.package import Ecosystem, Evidence, Skipped, SkipReason
from sensor.node.resolve.dotnet.assembly import read_assembly
from sensor.node.resolve.dotnet.bundle import SIGNATURE, read_bundle
from sensor.node.resolve.dotnet.deps import LIMIT, NotDeps, parse_deps
from sensor.node.resolve.dotnet.metadata import compressed
from sensor.node.resolve.dotnet.nuget import normalized, nuget_package, package_folder
from sensor.node.resolve.dotnet.pe import read_headers
from sensor.node.resolve.dotnet.resolver import DotnetResolver, is_native
from sensor.node.resolve.dotnet.version_resource import read_strings
from sensor.node.resolve.dotnet.weighed import WeighedCache
from sensor.node.resolve.dotnet.window import BadImage, Window
from sensor.node.rootfs import RootFilesystem
from tests.clock import at_little_cost
from tests.edges.dotnet_bytes import assembly, bundle, deps, program, runtime


class Container:
    """A root in a folder."""

    def __init__(self, folder: Path, root_fd: int) -> None:
        self.folder = folder
        self.root = RootFilesystem(root_fd)
        self.resolver = DotnetResolver()

    def write(self, path: str, content: bytes = b"MZ") -> str:
        target = self.folder / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return path

    def purl(self, path: str) -> str | None:
        assert self.resolver.claims(path)
        result = self.resolver.resolve(self.root, path)
        if isinstance(result, Skipped):
            assert result.reason is SkipReason.NOT_A_PACKAGE, result
            return None
        (use,) = result
        assert (use.path, use.evidence) == (path, Evidence.OPENED)
        return use.package.purl

    def reason(self, path: str) -> SkipReason:
        result = self.resolver.resolve(self.root, path)
        assert isinstance(result, Skipped), result
        return result.reason


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    root_fd = os.open(tmp_path, os.O_PATH)
    yield Container(tmp_path, root_fd)
    os.close(root_fd)


def _window(content: bytes) -> Window:
    return Window(io.BytesIO(content), 0, len(content))


def test_it_is_of_nuget_and_asks_for_the_opener() -> None:
    assert DotnetResolver().ecosystem is Ecosystem.NUGET
    assert DotnetResolver().opener_matters


@pytest.mark.parametrize("path", ["/a.dll", "/a.DLL", "/a.Exe", "/liba.so", "/liba.SO", "/liba.so.1.2.3"])
def test_claims_what_a_runtime_loads(path: str) -> None:
    assert DotnetResolver().claims(path)


@pytest.mark.parametrize(
    "path", ["/a.pdb", "/a.deps.json", "/dll", "/a.dll.config", "/a.so.bak", "/a.sox", "/"]
)
def test_does_not_claim_what_it_never_loads(path: str) -> None:
    assert not DotnetResolver().claims(path)


@pytest.mark.parametrize(
    ("path", "native"), [("/a.so", True), ("/a.so.6", True), ("/a.so.x", False), ("/x.so/a.dll", False)]
)
def test_names_of_shared_objects(path: str, native: bool) -> None:
    assert is_native(path) is native


@pytest.mark.parametrize(
    ("written", "version"),
    [
        ("13.0.3+0a2e291c", "13.0.3"),
        ("13.0.3.27908", "13.0.3"),
        ("1.0", "1.0.0"),
        ("1, 0, 0, 0", "1.0.0"),
        ("1.2.3.4", "1.2.3.4"),
        ("v2.1.0-beta.2+x", "2.1.0-beta.2"),
        ("01.002.3", "1.2.3"),
        ("4.6.25519.03 built by: lab", "4.6.25519.3"),
        ("3.1.23-servicing.22116.1+0dee78f", "3.1.23"),
        ("2.2.0-rtm-181110-01", "2.2.0"),
        (" 5.0.0 ", "5.0.0"),
        ("60156f308468ccbe517904f2bb43a8a763434aee", None),
        ("master", None),
        ("", None),
        ("7", None),
        ("9" * 40 + ".0", None),
    ],
)
def test_versions_as_nuget_normalizes_them(written: str, version: str | None) -> None:
    assert normalized(written) == version


@pytest.mark.parametrize("name", ["", ".", "a..b", "a b", "-a", "a/b", "a" * 101, "ä", "a\n"])
def test_what_nuget_would_not_take_is_no_name(name: str) -> None:
    assert nuget_package(name, "1.0.0") is None


def test_a_version_that_is_none_is_unknown() -> None:
    package = nuget_package("A", "latest\n")
    assert package is not None
    assert (package.purl, package.version, package.snyk.version) == ("pkg:nuget/A", None, None)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/root/.nuget/packages/a.b/1.2.3/lib/net6.0/A.B.dll", ("a.b", "1.2.3", False)),
        ("/root/.nuget/packages/a.b/1.2.3-x/ref/net6.0/A.B.dll", ("a.b", "1.2.3-x", True)),
        ("/root/.nuget/packages/a/1.0.0/runtimes/linux-x64/native/liba.so", ("a", "1.0.0", False)),
        ("/x/packages/A.B.1.2.3/lib/net45/A.B.dll", ("A.B", "1.2.3", False)),
        ("/app/A.dll", None),
        ("/lib/A.dll", None),
    ],
)
def test_folders_named_after_packages(path: str, told: tuple[str, str, bool] | None) -> None:
    folder = package_folder(path)
    assert (None if folder is None else (folder.name, folder.version, folder.reference)) == told


@pytest.mark.parametrize(
    ("content", "value"),
    # The examples of ECMA-335 II.23.2.
    [
        (b"\x03", (0x03, 1)),
        (b"\x7f", (0x7F, 1)),
        (b"\x80\x80", (0x80, 2)),
        (b"\xae\x57", (0x2E57, 2)),
        (b"\xbf\xff", (0x3FFF, 2)),
        (b"\xc0\x00\x40\x00", (0x4000, 4)),
        (b"\xdf\xff\xff\xff", (0x1FFFFFFF, 4)),
    ],
)
def test_compressed_numbers(content: bytes, value: tuple[int, int]) -> None:
    assert compressed(content) == value


@pytest.mark.parametrize("content", [b"", b"\x80", b"\xc0\0\0", b"\xe0\0\0\0", b"\xff"])
def test_numbers_that_are_none(content: bytes) -> None:
    with pytest.raises(BadImage):
        compressed(content)


def test_an_assembly_that_a_real_compiler_made(tmp_path: Path) -> None:
    source = tmp_path / "Tea.cs"
    source.write_text(
        "using System.Reflection;"
        '[assembly: AssemblyVersion("4.5.6.7")][assembly: AssemblyCompany("Someone")]'
        '[assembly: AssemblyInformationalVersion("4.5.6-pre.1+abc")][assembly: AssemblyProduct("Leaves")]'
        "public class Tea { public static int Of(string x) { return x.Length; } static void Main() { } }"
    )
    for kind, own in (("library", False), ("exe", True)):
        target = tmp_path / f"{kind}.dll"
        subprocess.run(["mcs", f"-target:{kind}", f"-out:{target}", source], check=True, capture_output=True)
        with target.open("rb") as file:
            window = Window(file, 0, target.stat().st_size)
            told = read_assembly(window)
            strings = read_strings(read_headers(window))
        assert told is not None
        assert (told.name, told.version, told.own) == (kind, "4.5.6-pre.1", own)
        assert strings["ProductVersion"] == "4.5.6-pre.1+abc"
        assert strings["ProductName"] == "Leaves"


@pytest.mark.parametrize("path", sorted(Path("/usr/lib/mono/4.5").glob("*.dll")), ids=lambda path: path.name)
def test_real_assemblies_say_their_names(path: Path) -> None:
    with path.open("rb") as file:
        told = read_assembly(Window(file, 0, path.stat().st_size))
    assert told is not None
    assert told.name == path.stem
    assert told.own, "Mono's class library is no package"


def test_any_bytes_cut_off_raise_nothing_else() -> None:
    content = assembly("A", (1, 0, 0, 0), {"AssemblyCompany": "X"}, resource={"ProductVersion": "1.0.0"})
    for length in range(len(content)):
        try:
            read_assembly(_window(content[:length]))
        except BadImage:
            continue


def test_deps_json_is_read_again_when_it_changes(container: Container) -> None:
    path = container.write("/app/A.dll")
    container.write("/app/App.deps.json", deps({"A/1.0.0": runtime("A.dll")}))
    assert container.purl(path) == "pkg:nuget/A@1.0.0"
    container.write("/app/App.deps.json", deps({"A/1.0.10": runtime("A.dll")}))
    assert container.purl(path) == "pkg:nuget/A@1.0.10"


def test_a_deps_json_that_comes_later_is_found(container: Container) -> None:
    path = container.write("/app/A.dll", assembly("A", (3, 0, 0, 0), {"AssemblyCompany": "X"}))
    assert container.purl(path) == "pkg:nuget/A@3.0.0"
    container.write("/app/App.deps.json", deps({"B/1.0.0": runtime("A.dll")}))
    assert container.purl(path) == "pkg:nuget/B@1.0.0"


def test_what_is_known_is_not_read_again(container: Container) -> None:
    path = container.write("/app/A.dll", assembly("A", (3, 0, 0, 0), {"AssemblyCompany": "X"}))
    assert container.purl(path) == container.purl(path)
    assert (container.resolver.assemblies.hits, container.resolver.assemblies.misses) == (1, 1)
    container.resolver.sweep()
    container.resolver.sweep()
    assert len(container.resolver.assemblies) == 0


def test_folders_of_the_system_are_not_listed(container: Container) -> None:
    container.write("/usr/lib/x.deps.json", deps({"A/1.0.0": runtime("A.dll")}))
    path = container.write("/usr/lib/A.dll", assembly("A", (3, 0, 0, 0), {"AssemblyCompany": "X"}))
    assert container.purl(path) == "pkg:nuget/A@3.0.0"


def test_a_folder_named_like_an_assembly(container: Container) -> None:
    container.write("/app/A.dll/inside")
    assert container.reason("/app/A.dll") is SkipReason.NOT_REGULAR


def test_paths_have_to_be_whole(container: Container) -> None:
    assert container.reason("app/A.dll") is SkipReason.PATH_TRUNCATED
    result = container.resolver.resolve_program(container.root, "app")
    assert isinstance(result, Skipped)
    assert result.reason is SkipReason.PATH_TRUNCATED


def test_satellites_do_not_lead_in_circles(container: Container) -> None:
    path = "/app/de/A.resources.resources.dll"
    container.write(path, assembly("A.resources.resources", (1, 2, 0, 0), culture="de"))
    container.write("/app/A.resources.dll", assembly("A.resources", (1, 2, 0, 0), culture="de"))
    assert container.purl(path) == "pkg:nuget/A.resources@1.2.0"


def test_files_that_a_bundle_extracted_are_its_own(container: Container) -> None:
    """IncludeNativeLibrariesForSelfExtract: libraries land in ~/.net/<program>/<id>, deps.json does not."""
    group: dict[str, dict[str, object]] = {"native": {"runtimes/linux-x64/native/libe_sqlite3.so": {}}}
    container.write(
        "/app/App", bundle({"App.deps.json": deps({"Sq.lib/2.1.6": group}), "libe_sqlite3.so": b"E"})
    )
    path = container.write("/root/.net/App/Wm5aQ0hJcWc/libe_sqlite3.so", b"\x7fELF")
    assert container.purl(path) is None
    assert not isinstance(container.resolver.resolve_program(container.root, "/app/App"), Skipped)
    assert container.purl(path) == "pkg:nuget/Sq.lib@2.1.6"


def test_the_marker_is_that_of_the_host() -> None:
    # bundle_marker.cpp spells the bytes out.
    assert SIGNATURE[:4].hex() == "8b1202b9"
    assert SIGNATURE[-4:].hex() == "24b36aae"


def test_a_marker_across_two_reads_is_found() -> None:
    at = (1 << 19) - 20  # pieces are of half a MiB
    start = bytearray(program(size=1 << 20))
    place = start.index(SIGNATURE) - 8
    start[at : at + 40], start[place : place + 40] = start[place : place + 40], bytes(40)
    content = bundle({"A.dll": b"MZ"}, start=bytes(start))
    found = read_bundle(io.BytesIO(content), len(content))
    assert found is not None
    assert [entry.path for entry in found.entries] == ["A.dll"]


def test_a_program_with_nothing_behind_its_sections_is_not_searched() -> None:
    class Counting(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            content = super().read(size)
            self.taken += len(content)
            return content

    with open("/bin/true", "rb") as file:
        content = file.read()
    counting = Counting(content)
    assert read_bundle(counting, len(content)) is None
    assert counting.taken < 200


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"targets": ' + b'{"a":' * 50_000,
        b'{"targets": {"x": {"A/1": {"runtime": {' + b'"a.dll": 1' + b"}}}}, "[:3],
        json.dumps(
            {"targets": {"x": {"A/1": {"runtime": {f"{n}.dll": {} for n in range(20_001)}}}}}
        ).encode(),
        b"",
        b"[]",
        b'{"targets": {}}',
        b'{"targets": {"x": []}}',
        b"\xff\xfe",
    ],
)
def test_what_is_no_deps_json(content: bytes) -> None:
    with pytest.raises(NotDeps):
        parse_deps(content)


@pytest.mark.parametrize("odd", [None, 1, "x", [], {"runtime": 3}, {"runtime": {"a.dll": 7}, "native": None}])
def test_odd_values_in_a_deps_json(odd: object) -> None:
    document = {
        "runtimeTarget": odd,
        "targets": {"x": {"A/1.0.0": odd, "B/1.0.0": {"runtime": {"b.dll": odd}}}},
        "libraries": {"A/1.0.0": odd, "B/1.0.0": odd},
    }
    (asset,) = parse_deps(json.dumps(document).encode()).owners("b.dll")
    assert asset.package is not None
    assert asset.package.purl == "pkg:nuget/B@1.0.0"


def test_the_largest_deps_json_costs_little(container: Container) -> None:
    assets = ",".join(f'"{n:05}.dll":{{"fileVersion":"1.0.0.0"}}' for n in range(19_000))
    filler = b'"x":[' + b"0," * ((LIMIT - len(assets) - 200) // 2) + b"0]"
    content = f'{{"targets":{{"t":{{"A/1.0.0":{{"runtime":{{{assets}}}}}}}}},'.encode() + filler + b"}"
    assert LIMIT - 500 < len(content) <= LIMIT
    container.write("/app/App.deps.json", content)
    path = container.write("/app/00007.dll")
    with at_little_cost():
        assert container.purl(path) == "pkg:nuget/A@1.0.0"
    container.resolver = DotnetResolver()
    tracemalloc.start()  # slow: not while time is taken
    assert container.purl(path) == "pkg:nuget/A@1.0.0"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 20


def test_a_deps_json_that_is_too_large_is_as_none(container: Container) -> None:
    container.write("/app/App.deps.json", b" " * (LIMIT + 1))
    path = container.write("/app/A.dll", assembly("A", (3, 0, 0, 0), {"AssemblyCompany": "X"}))
    assert container.purl(path) == "pkg:nuget/A@3.0.0"


def test_weighed_caches_hold_no_more_than_their_budget() -> None:
    cache: WeighedCache[str, str] = WeighedCache(10, 20, len)
    cache.put("large", "x" * 30)
    assert cache.get("large") is None
    for name in "abc":
        cache.put(name, "x" * 5)
    assert [cache.get(name) for name in "abc"] == ["xxxxx"] * 3
    cache.put("d", "x" * 5)
    assert [cache.get(name) for name in "abcd"] == [None, None, None, "xxxxx"]
    cache.sweep()
    cache.sweep()
    assert len(cache) == 0
