"""Node.js packages, in real folders under a real root descriptor."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sensor.model.package import Ecosystem, Evidence, Package, Skipped, SkipReason
from sensor.node.resolve.node.archive import BadArchive, read_manifest
from sensor.node.resolve.node.resolver import MANIFEST_LIMIT, NodeResolver
from sensor.node.rootfs import RootFilesystem

LODASH = {"name": "lodash", "version": "4.17.21"}


class Container:
    """A root file system in a folder, and a resolver whose clock stands until it is moved."""

    def __init__(self, folder: Path, root_fd: int) -> None:
        self.folder = folder
        self.root = RootFilesystem(root_fd)
        self.now = 100.0
        self.resolver = NodeResolver(clock=lambda: self.now)

    def write(self, path: str, content: object = "") -> str:
        target = self.folder / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            target.write_bytes(content)
        else:
            target.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def package(self, path: str) -> Package:
        """The one package that ``path`` proves."""
        assert self.resolver.claims(path)
        result = self.resolver.resolve(self.root, path)
        assert not isinstance(result, Skipped), result
        (use,) = result
        assert use.path == path
        assert use.evidence is Evidence.OPENED
        return use.package

    def names(self, path: str) -> tuple[str, str | None]:
        package = self.package(path)
        return package.name, package.version

    def all_names(self, path: str) -> list[tuple[str, str | None]]:
        result = self.resolver.resolve(self.root, path)
        assert not isinstance(result, Skipped), result
        return [(use.package.name, use.package.version) for use in result]

    def skip(self, path: str) -> SkipReason:
        result = self.resolver.resolve(self.root, path)
        assert isinstance(result, Skipped), result
        return result.reason


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    root_fd = os.open(tmp_path, os.O_PATH)
    yield Container(tmp_path, root_fd)
    os.close(root_fd)


@pytest.mark.parametrize(
    "path",
    [
        *(
            f"/a/x{suffix}"
            for suffix in (".js", ".cjs", ".mjs", ".ts", ".mts", ".cts", ".json", ".node", ".wasm")
        ),
        "/a/X.JS",
        "/a/.yarn/cache/x.zip",
        "/app/node_modules/.bin/tool",
        "/app/node_modules/jsesc/bin/jsesc",
        "/usr/share/nodejs/npm/bin/npm",
        "/app/node_modules/@img/sharp-libvips-linux-x64/lib/libvips-cpp.so.8.17.1",
        "/app/node_modules/onnxruntime-node/bin/libonnxruntime.so",
    ],
)
def test_claims_what_node_loads(path: str) -> None:
    assert NodeResolver().claims(path)


@pytest.mark.parametrize(
    "path",
    [
        "/a/node_modules/x/package.json",
        "/a/node_modules/x/Package.JSON",
        "/a/package-lock.json",
        "/a/node_modules/.package-lock.json",
        "/a/npm-shrinkwrap.json",
        "/a/tsconfig.json",
        "/a/x.js.map",
        "/a/x.d.ts",
        "/a/x.D.MTS",
        "/a/x.d.cts",
        "/a/node_modules/x/README.md",
        "/usr/bin/tool",
        "/usr/lib/libvips-cpp.so.42",
        "/a/node_modules/x/lib.so.txt",
        "/a/x.py",
    ],
)
def test_does_not_claim_what_is_never_evidence(path: str) -> None:
    assert not NodeResolver().claims(path)


def test_both_names_of_a_scoped_package(container: Container) -> None:
    container.write(
        "/app/node_modules/@babel/core/package.json", {"name": "@babel/core", "version": "7.1.0+b.1"}
    )
    package = container.package("/app/node_modules/@babel/core/lib/deep/index.js")
    assert package.ecosystem is Ecosystem.NPM
    assert package.purl == "pkg:npm/%40babel/core@7.1.0%2Bb.1"
    assert (package.snyk.type, package.snyk.name, package.snyk.version) == ("npm", "@babel/core", "7.1.0+b.1")


def test_the_purl_keeps_the_case_of_old_names(container: Container) -> None:
    container.write("/app/node_modules/JSONStream/package.json", {"name": "JSONStream", "version": "1.3.5"})
    assert container.package("/app/node_modules/JSONStream/index.js").purl == "pkg:npm/JSONStream@1.3.5"


@pytest.mark.parametrize(
    ("folder", "file"),
    [
        ("/app/node_modules/lo", "lodash.js"),  # an alias
        ("/app/node_modules/.pnpm/lodash@4.17.21/node_modules/lodash", "fp/x.js"),
        ("/app/node_modules/express/node_modules/lodash", "lodash.js"),
        ("/app/node_modules/.store/lodash-npm-4.17.21-6382451519/package", "lodash.js"),
        ("/app/.yarn/unplugged/lodash-npm-4.17.21-6382451519/node_modules/lodash", "lodash.js"),
        ("/usr/lib/node_modules/lodash", "bin/lodash"),
        ("/usr/share/nodejs/lodash", "lodash.js"),
        ("/usr/lib/x86_64-linux-gnu/nodejs/lodash", "binding.node"),
        ("/app/node_modules/.store/lodash-npm-4.17.21-6382451519/package", "fp/deep/x.js"),
        ("/store/links/lodash/4.17.21/9a3f/node_modules/lodash", "lodash.js"),
        ("/app/node_modules/.bun/lodash@4.17.21/node_modules/lodash", "lodash.js"),
        ("/app/node_modules/.deno/lodash@4.17.21/node_modules/lodash", "lodash.js"),
        ("/deno-dir/npm/registry.example/lodash/4.17.21", "lodash.js"),
        ("/deno-dir/npm/localhost_4873/lodash/4.17.21_1", "fp/x.js"),
        ("/deno-dir/npm/example/private/@scope/lodash/4.17.21-rc.1", "fp/x.js"),
        ("/root/.bun/install/cache/lodash@4.17.21@@@1", "lodash.js"),
        ("/root/.bun/install/cache/@scope/lodash@4.17.21-ab12@@registry.example__9f@@@1", "fp/x.js"),
        ("/root/.cache/node/corepack/v1/pnpm/9.15.9", "dist/pnpm.cjs"),
    ],
)
def test_layouts(container: Container, folder: str, file: str) -> None:
    container.write(f"{folder}/package.json", LODASH)
    container.write("/app/package.json", {"name": "app", "version": "1.0.0"})
    assert container.names(f"{folder}/{file}") == ("lodash", "4.17.21")


@pytest.mark.parametrize(
    "nested",
    [
        {"type": "module"},
        {"name": "", "version": "1.0.0"},
        {"name": "lodash/fp", "version": "1.0.0"},
        {"name": "lodash-fp", "private": True, "version": "1.0.0"},
        {"name": "lodash-fp"},
        [],
    ],
)
def test_a_manifest_that_no_registry_delivered_does_not_speak_for_a_subfolder(
    container: Container, nested: object
) -> None:
    container.write("/app/node_modules/lodash/package.json", LODASH)
    container.write("/app/node_modules/lodash/fp/package.json", nested)
    assert container.names("/app/node_modules/lodash/fp/x/y.js") == ("lodash", "4.17.21")


def test_a_package_carried_whole_is_loaded_beside_its_host(container: Container) -> None:
    container.write("/app/node_modules/next/package.json", {"name": "next", "version": "14.0.0"})
    container.write("/app/node_modules/next/vendored/ws/package.json", {"name": "ws", "version": "8.1.0"})
    container.write("/app/node_modules/next/vendored/ws/lib/package.json", {"type": "module"})
    both = [("next", "14.0.0"), ("ws", "8.1.0")]
    assert container.all_names("/app/node_modules/next/vendored/x.js") == both[:1]
    assert container.all_names("/app/node_modules/next/vendored/ws/lib/x.js") == both
    assert container.all_names("/app/node_modules/next/vendored/ws/x.js") == both
    assert container.all_names("/app/node_modules/next/vendored/ws/lib/deep/x.js") == both


def test_the_nearest_of_carried_packages_counts(container: Container) -> None:
    container.write("/app/node_modules/a/package.json", {"name": "a", "version": "1.0.0"})
    container.write("/app/node_modules/a/b/package.json", {"name": "b", "version": "1.0.0"})
    container.write("/app/node_modules/a/b/c/package.json", {"name": "c", "version": "1.0.0"})
    assert container.all_names("/app/node_modules/a/b/x.js") == [("a", "1.0.0"), ("b", "1.0.0")]
    assert container.all_names("/app/node_modules/a/b/c/x.js") == [("a", "1.0.0"), ("c", "1.0.0")]


def test_a_package_does_not_carry_itself(container: Container) -> None:
    container.write("/app/node_modules/a/package.json", {"name": "a", "version": "1.2.3"})
    container.write("/app/node_modules/a/dist/package.json", {"name": "a", "version": "0.0.0"})
    assert container.names("/app/node_modules/a/dist/x.js") == ("a", "1.2.3")


def test_an_unreadable_manifest_below_costs_nothing_and_one_of_the_host_is_told(container: Container) -> None:
    container.write("/app/node_modules/a/package.json", {"name": "a", "version": "1.2.3"})
    container.write("/app/node_modules/a/data/package.json", " " * (MANIFEST_LIMIT + 1))
    assert container.names("/app/node_modules/a/data/x.js") == ("a", "1.2.3")
    container.write("/app/node_modules/b/package.json", " " * (MANIFEST_LIMIT + 1))
    container.write("/app/node_modules/b/ws/package.json", {"name": "ws", "version": "8.1.0"})
    assert container.skip("/app/node_modules/b/ws/x.js") is SkipReason.TOO_LARGE


def test_what_lies_in_a_tool_s_own_folder_may_still_be_a_package(container: Container) -> None:
    container.write("/app/node_modules/.vite/deps/lit/package.json", {"name": "lit", "version": "3.0.0"})
    assert container.names("/app/node_modules/.vite/deps/lit/x.js") == ("lit", "3.0.0")


def test_a_program_of_a_package_proves_it_when_it_is_executed(container: Container) -> None:
    manifest = {"name": "@esbuild/linux-x64", "version": "0.25.0"}
    container.write("/app/node_modules/@esbuild/linux-x64/package.json", manifest)
    result = container.resolver.resolve_program(
        container.root, "/app/node_modules/@esbuild/linux-x64/bin/esbuild"
    )
    assert not isinstance(result, Skipped)
    assert [(use.package.name, use.evidence) for use in result] == [("@esbuild/linux-x64", Evidence.EXECUTED)]
    nothing = container.resolver.resolve_program(container.root, "/usr/bin/node")
    assert isinstance(nothing, Skipped)
    assert nothing.reason is SkipReason.NOT_A_PACKAGE


def test_private_package_without_a_version(container: Container) -> None:
    container.write("/app/node_modules/ours/package.json", {"name": "ours", "private": True})
    package = container.package("/app/node_modules/ours/index.js")
    assert (package.version, package.snyk.version, package.purl) == (None, None, "pkg:npm/ours")


@pytest.mark.parametrize(
    "path",
    [
        "/app/server.js",
        "/app/packages/workspace/index.js",
        "/app/.pnp.cjs",
        "/app/data.zip",
        "/app/node_modules/loose.js",
        "/app/node_modules/@scope/loose.js",
        "/app/node_modules/.cache/tool/x.js",
        "/usr/share/nodejs/loose.js",
        "/usr/share/nodejs/bare/x.js",
        "/app/node_modules/.store/loose.js",
        "/deno-dir/npm/registry.example/lodash/registry.js",
        "/app/npm/dist/lib/1.0.0/x.js",
        "/app/lib@@@old/x.js",
    ],
)
def test_what_is_no_dependency(container: Container, path: str) -> None:
    container.write("/app/package.json", {"name": "app", "version": "1.0.0"})
    container.write("/app/packages/workspace/package.json", {"name": "workspace", "version": "1.0.0"})
    container.write(path, b"PK")
    assert container.skip(path) is SkipReason.NOT_A_PACKAGE


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b'"lodash"',
        b"[" * 500_000,
        b'{"name":' + b'{"name":' * 100_000,
        b'{"name": 7, "version": "1.0.0"}',
        b'{"name": ["x"], "version": "1.0.0"}',
        b'{"name": "a\\u0000b", "version": "1.0.0"}',
        b'{"name": "a\\nb", "version": "1.0.0"}',
        b'{"name": "\\ud800", "version": "1.0.0"}',
        b'{"name": "../../etc", "version": "1.0.0"}',
        b'{"name": "@scope", "version": "1.0.0"}',
        json.dumps({"name": "x" * 215, "version": "1.0.0"}).encode(),
        b'{"name": "\xff\xfe", "version": "1.0.0"}',
        b'{"name": "x", "n": ' + b"9" * 5000 + b"}",
        '{"name": "lodash"}'.encode("utf-16"),
    ],
)
def test_a_useless_manifest_leaves_the_name_of_the_folder(container: Container, content: bytes) -> None:
    container.write("/app/node_modules/@a/folder/package.json", content)
    assert container.names("/app/node_modules/@a/folder/x.js") == ("@a/folder", None)


@pytest.mark.parametrize(
    ("content", "version"),
    [
        (b'\xef\xbb\xbf{"name": "x", "version": "1.0.0"}', "1.0.0"),
        (b'{"name": "y", "name": "x", "version": "2.0.0", "version": "1.0.0"}', "1.0.0"),
        (b'{"name": "x", "version": "1.0.0", "author": 7, "authors": "me", "d": "\xff"}', "1.0.0"),
        (b'{"name": "x", "version": 1}', None),
        (b'{"name": "x", "version": ""}', None),
        (b'{"name": "x", "version": "1\\u0007"}', None),
        (b'{"name": "x", "version": "' + b"1" * 257 + b'"}', None),
    ],
)
def test_junk_around_a_name_does_no_harm(container: Container, content: bytes, version: str | None) -> None:
    container.write("/app/node_modules/folder/package.json", content)
    assert container.names("/app/node_modules/folder/x.js") == ("x", version)


def test_a_folder_without_manifest_and_one_that_is_gone(container: Container) -> None:
    container.write("/app/node_modules/there/x.js")
    container.write("/app/package.json", {"name": "app", "version": "1.0.0"})
    assert container.names("/app/node_modules/there/x.js") == ("there", None)
    assert container.skip("/app/node_modules/gone/x.js") is SkipReason.VANISHED


def test_a_manifest_that_is_no_file_is_none(container: Container) -> None:
    os.makedirs(container.folder / "app/node_modules/a/package.json")
    os.makedirs(container.folder / "app/node_modules/b")
    os.mkfifo(container.folder / "app/node_modules/b/package.json")
    assert container.names("/app/node_modules/a/x.js") == ("a", None)
    assert container.names("/app/node_modules/b/x.js") == ("b", None)


def test_a_manifest_linked_to_the_host_reads_the_container(container: Container, tmp_path: Path) -> None:
    secret = tmp_path.parent / "secret.json"
    secret.write_text(json.dumps({"name": "secret", "version": "6.6.6"}))
    container.write("/app/node_modules/a/x.js")
    (container.folder / "app/node_modules/a/package.json").symlink_to(secret)
    assert container.names("/app/node_modules/a/x.js") == ("a", None)


def test_a_huge_manifest_is_a_counted_skip(container: Container) -> None:
    path = container.folder / "app/node_modules/big/package.json"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.truncate(10 << 30)
    assert container.skip("/app/node_modules/big/x.js") is SkipReason.TOO_LARGE


def test_a_folder_deeper_than_the_climb_asks_the_install_folder(container: Container) -> None:
    container.write("/app/node_modules/lodash/package.json", LODASH)
    assert container.names("/app/node_modules/lodash/" + "d/" * 1000 + "x.js") == ("lodash", "4.17.21")
    assert len(container.resolver.folders) == 1  # long paths take no room in the cache


def test_a_path_that_is_not_absolute(container: Container) -> None:
    assert container.skip("…/node_modules/lodash/x.js") is SkipReason.PATH_TRUNCATED


def test_a_known_folder_is_looked_at_once_a_second(container: Container) -> None:
    manifest = container.write("/app/node_modules/lodash/package.json", LODASH)
    file = "/app/node_modules/lodash/fp/lodash.js"
    assert container.names(file) == ("lodash", "4.17.21")
    container.write(manifest, {"name": "lodash", "version": "4.18.0"})
    container.now += 0.9
    assert container.names("/app/node_modules/lodash/fp/other.js") == ("lodash", "4.17.21")
    # Below a folder looked at 0.9 s ago: the answer is not believed for longer than that one.
    assert container.names("/app/node_modules/lodash/fp/deep/other.js") == ("lodash", "4.17.21")
    container.now += 0.2
    assert container.names("/app/node_modules/lodash/fp/deep/other.js") == ("lodash", "4.18.0")
    assert container.names(file) == ("lodash", "4.18.0")


def test_containers_of_one_image_share_manifests_and_nothing_else(
    container: Container, tmp_path: Path
) -> None:
    container.write("/one/app/node_modules/lodash/package.json", LODASH)
    (tmp_path / "two/app/node_modules/lodash").mkdir(parents=True)
    os.link(
        tmp_path / "one/app/node_modules/lodash/package.json",
        tmp_path / "two/app/node_modules/lodash/package.json",
    )
    container.write("/three/app/node_modules/lodash/package.json", {"name": "lodash", "version": "3.0.0"})
    versions = []
    for name in ("one", "two", "three"):
        fd = os.open(tmp_path / name, os.O_PATH)
        result = container.resolver.resolve(RootFilesystem(fd), "/app/node_modules/lodash/x.js")
        os.close(fd)
        assert not isinstance(result, Skipped)
        versions.append(result[0].package.version)
    assert versions == ["4.17.21", "4.17.21", "3.0.0"]
    assert (len(container.resolver.manifests), container.resolver.manifests.hits) == (2, 1)


def test_caches_are_bounded(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensor.node.resolve.node.resolver._FOLDERS", 10)
    monkeypatch.setattr("sensor.node.resolve.node.resolver._MANIFESTS", 10)
    container.resolver = NodeResolver()
    for number in range(30):
        container.write(
            f"/app/node_modules/p{number}/package.json", {"name": f"p{number}", "version": "1.0.0"}
        )
        container.package(f"/app/node_modules/p{number}/x.js")
    assert (len(container.resolver.folders), container.resolver.folders.evictions) == (10, 20)
    assert (len(container.resolver.manifests), container.resolver.manifests.evictions) == (10, 20)


def archive(
    manifest: bytes, *, name: str = "node_modules/@babel/core", method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    """An archive as Yarn writes it: folders, then files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as file:
        file.writestr("node_modules/", b"")
        file.writestr(f"{name}/lib/package.json", b'{"name": "nested", "version": "0.0.0"}')
        file.writestr(f"{name}/package.json", manifest)
    return content.getvalue()


BABEL = b'{"name": "@babel/core", "version": "7.23.0"}'


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    "path",
    [
        "/app/.yarn/cache/@babel-core-npm-7.23.0-74e1ca01a5-f1f3394f77.zip",
        "/app/.yarn/cache/@babel-core-https-74e1ca01a5-f1f3394f77.zip",
        "/home/app/.yarn/berry/cache/@babel-core-npm-7.23.0-74e1ca01a5-10c0.zip",
        "/var/cache/yarn/@babel-core-npm-7.23.0-74e1ca01a5-10c0.zip",
    ],
)
def test_archives_of_yarn(container: Container, path: str, method: int) -> None:
    container.write(path, archive(BABEL, method=method))
    assert container.names(path) == ("@babel/core", "7.23.0")
    assert container.names(path) == ("@babel/core", "7.23.0")
    assert container.resolver.manifests.misses == 1


def zip64_bomb() -> bytes:
    whole = bytearray(archive(BABEL))
    end = whole.rindex(b"PK\5\6")
    whole[end + 12 : end + 16] = (0xFFFFFFFF).to_bytes(4, "little")
    return bytes(whole)


def huge_member() -> bytes:
    whole = bytearray(archive(BABEL))
    header = whole.rindex(b"PK\1\2")
    whole[header + 24 : header + 28] = (MANIFEST_LIMIT + 1).to_bytes(4, "little")
    return bytes(whole)


def lying_bomb() -> bytes:
    """Unpacks to 8 MiB and claims 100 bytes."""
    whole = bytearray(archive(b" " * (8 << 20)))
    header = whole.rindex(b"PK\1\2")
    whole[header + 24 : header + 28] = (100).to_bytes(4, "little")
    return bytes(whole)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", SkipReason.MALFORMED),
        (b"PK\5\6", SkipReason.MALFORMED),
        (archive(BABEL)[:-30], SkipReason.MALFORMED),
        (archive(BABEL, name="somewhere/else"), SkipReason.MALFORMED),
        (archive(b"{}"), SkipReason.MALFORMED),
        (zip64_bomb(), SkipReason.ARCHIVE_BOUNDS),
        (huge_member(), SkipReason.ARCHIVE_BOUNDS),
        (lying_bomb(), SkipReason.MALFORMED),
    ],
)
def test_hostile_archives_are_counted_skips(container: Container, content: bytes, reason: SkipReason) -> None:
    path = container.write("/app/.yarn/cache/x-npm-1.0.0-74e1ca01a5-f1f3394f77.zip", content)
    assert container.skip(path) is reason


def test_an_unpacked_member_is_cut_at_the_limit() -> None:
    assert len(read_manifest(io.BytesIO(lying_bomb()), 1 << 20)) == 1 << 20


def test_every_broken_byte_of_an_archive_is_survived() -> None:
    whole = archive(BABEL)
    survived = 0
    for position in range(len(whole)):
        broken = bytearray(whole)
        broken[position] ^= 0xFF
        try:
            read_manifest(io.BytesIO(bytes(broken)), 1 << 20)
        except BadArchive:
            survived += 1
    assert survived > 20


def test_speed_of_a_known_folder(
    container: Container, per_call_us: Callable[[Callable[[], object]], float]
) -> None:
    container.write("/app/node_modules/lodash/package.json", LODASH)
    path = "/app/node_modules/lodash/lodash.js"
    container.package(path)
    assert per_call_us(lambda: container.resolver.resolve(container.root, path)) < 50  # 5 on an idle machine


@pytest.fixture
def per_call_us() -> Callable[[Callable[[], object]], float]:
    import timeit

    return lambda call: min(timeit.repeat(call, number=200, repeat=5)) / 200 * 1e6
