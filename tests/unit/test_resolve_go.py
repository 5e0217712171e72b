"""Go programs in a few hundred bytes: what the cases of tests/edges/go.py do not say."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor.model.package import Ecosystem, Evidence, Skipped, SkipReason
from sensor.node.resolve.elf_layout import Layout, NotElf
from sensor.node.resolve.go import pclntab as tables
from sensor.node.resolve.go.modules import parse_modules
from sensor.node.resolve.go.names import import_path, package_prefixes
from sensor.node.resolve.go.resolver import GoResolver, read_file
from sensor.node.rootfs import RootFilesystem
from tests.clock import at_little_cost, in_time
from tests.edges.go import GIN, GIN_FUNCTIONS, SYS
from tests.edges.go_bytes import Machine, Part, Program, elf, info, pclntab

GIN_PURL = "pkg:golang/github.com/gin-gonic/gin@v1.10.0"
SYS_PURL = "pkg:golang/golang.org/x/sys@v0.20.0#unix"


class Container:
    def __init__(self, folder: Path, root_fd: int) -> None:
        self.folder = folder
        self.root = RootFilesystem(root_fd)
        self.resolver = GoResolver()

    def write(self, path: str, content: bytes) -> str:
        target = self.folder / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return path

    def purls(self, path: str) -> list[str]:
        result = self.resolver.resolve_program(self.root, path)
        assert not isinstance(result, Skipped), result
        assert {use.path for use in result} == {path}
        return [use.package.purl for use in result]

    def skip(self, path: str) -> SkipReason:
        result = self.resolver.resolve_program(self.root, path)
        assert isinstance(result, Skipped), result
        return result.reason


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    root_fd = os.open(tmp_path, os.O_PATH)
    yield Container(tmp_path, root_fd)
    os.close(root_fd)


def in_memory(content: bytes) -> list[str] | SkipReason:
    found = read_file(lambda offset, size: content[offset : offset + size])
    if isinstance(found, Skipped):
        return found.reason
    return [package.purl for package in found.linked]


def test_what_it_is() -> None:
    resolver = GoResolver()
    assert resolver.ecosystem is Ecosystem.GOLANG
    assert not resolver.opener_matters


@pytest.mark.parametrize("path", ["/a/p.so", "/a/p.so.1", "/usr/lib/libx.so.1.2.3"])
def test_libraries_are_claimed(path: str) -> None:
    assert GoResolver().claims(path)


@pytest.mark.parametrize("path", ["/a/p", "/a/p.so.conf", "/a/.so/p", "/a/p.sox", "/a/p.SO", "/a/p.so.1\n"])
def test_nothing_else_is_claimed(path: str) -> None:
    assert not GoResolver().claims(path)


def test_the_opened_is_mapped_and_the_run_is_executed(container: Container) -> None:
    path = container.write("/app/p.so", Program(GIN_FUNCTIONS, info(GIN)).content)
    opened = container.resolver.resolve(container.root, path)
    run = container.resolver.resolve_program(container.root, path)
    assert not isinstance(opened, Skipped)
    assert not isinstance(run, Skipped)
    assert {use.evidence for use in opened} == {Evidence.MAPPED}
    assert {use.evidence for use in run} == {Evidence.EXECUTED}
    assert [use.package for use in opened] == [use.package for use in run]


def test_a_file_is_read_once_for_all_containers(container: Container, tmp_path: Path) -> None:
    path = container.write("/app/server", Program(GIN_FUNCTIONS, info(GIN)).content)
    (tmp_path / "other").mkdir()
    os.link(tmp_path / "app/server", tmp_path / "other/server")
    assert container.purls(path) == container.purls("/other/server")
    assert (container.resolver.programs.misses, container.resolver.programs.hits) == (1, 1)


def test_what_is_not_go_is_remembered_too(container: Container) -> None:
    path = container.write("/bin/true", elf([Part(0x1000, b"x", 5)], [(".text", 0x1000, 1)]))
    assert container.skip(path) is container.skip(path) is SkipReason.NOT_A_PACKAGE
    assert (container.resolver.others.misses, container.resolver.others.hits) == (1, 1)
    container.resolver.sweep()
    container.resolver.sweep()
    assert len(container.resolver.others) == 0


def test_a_file_that_changes_is_read_again(container: Container) -> None:
    container.write("/app/server", Program(GIN_FUNCTIONS, info(GIN)).content)
    assert GIN_PURL in container.purls("/app/server")
    container.write("/app/server", Program(GIN_FUNCTIONS, info(GIN.replace("v1.10.0", "v1.10.1"))).content)
    assert GIN_PURL.replace("v1.10.0", "v1.10.1") in container.purls("/app/server")


def test_the_caches_are_bounded(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensor.node.resolve.go.resolver.PACKAGES", 5)
    for number in range(10):
        path = container.write(f"/app/{number}", Program(GIN_FUNCTIONS, info(GIN, SYS)).content)
        assert len(container.purls(path)) == 3
        assert len(container.resolver.programs) <= 1


def test_a_path_that_is_not_absolute(container: Container) -> None:
    assert container.skip("…/server") is SkipReason.PATH_TRUNCATED


def test_too_many_packages(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensor.node.resolve.go.program.PACKAGES", 50)
    names = [f"github.com/gin-gonic/gin/p{number}.F" for number in range(60)]
    path = container.write("/app/server", Program(names, info(GIN)).content)
    assert container.skip(path) is SkipReason.TOO_MANY_ENTRIES


def test_names_of_nobody_are_bounded_too(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensor.node.resolve.go.program.PACKAGES", 10)
    names = [f"a{number}.b/c.F" for number in range(200)]
    path = container.write("/app/server", Program(names, info(GIN)).content)
    assert container.skip(path) is SkipReason.TOO_MANY_ENTRIES


def test_out_of_time(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    path = container.write("/app/server", Program(GIN_FUNCTIONS, info(GIN)).content)
    ticks = iter(range(0, 1000, 2))
    monkeypatch.setattr("sensor.node.resolve.go.image.time.monotonic", lambda: float(next(ticks)))
    assert container.skip(path) is SkipReason.TOO_SLOW
    monkeypatch.undo()
    assert container.skip(path) is SkipReason.TOO_SLOW  # not at once again: it may be so each time
    container.resolver.sweep()
    container.resolver.sweep()
    assert GIN_PURL in container.purls(path)


@pytest.mark.parametrize("form", ["1.2", "1.16", "1.18", "1.20"])
@pytest.mark.parametrize("machine", [Machine(64), Machine(32), Machine(64, ">"), Machine(32, ">")])
@pytest.mark.parametrize("sections", [True, False])
def test_every_format(form: str, machine: Machine, sections: bool) -> None:
    program = Program(
        GIN_FUNCTIONS,
        info(GIN, SYS),
        form=form,
        machine=machine,
        pointers=form in ("1.2", "1.16"),
        sections=sections,
    )
    assert in_memory(program.content) == ["pkg:golang/stdlib@1.22.1", GIN_PURL, SYS_PURL]


@pytest.mark.parametrize("form", ["1.2", "1.20"])
@pytest.mark.parametrize("sections", [True, False])
def test_a_program_broken_in_any_byte_or_cut_anywhere_is_survived(form: str, sections: bool) -> None:
    program = Program(GIN_FUNCTIONS, info(GIN, SYS), form=form, pointers=form == "1.2", sections=sections)
    whole = program.content
    results = set()
    for position in range(len(whole)):
        broken = bytearray(whole)
        broken[position] ^= 0xFF
        results.add(str(in_memory(bytes(broken))))
        results.add(str(in_memory(whole[:position])))
    assert len(results) >= 10


@pytest.mark.parametrize("chunk", [16, 64, 1000])
def test_names_across_chunks(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(tables, "CHUNK", chunk)
    names = ["runtime.main", *(f"github.com/gin-gonic/gin/p{number}.F" for number in range(50))]
    found = in_memory(Program(names, info(GIN)).content)
    assert isinstance(found, list)
    assert len(found) == 51


def test_a_name_that_never_ends_is_malformed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "CHUNK", 16)
    monkeypatch.setattr(tables, "_NAME_BYTES", 100)
    assert in_memory(Program(["x" * 200], info(GIN)).content) is SkipReason.MALFORMED


def test_a_false_magic_before_the_table_is_passed_over() -> None:
    table = pclntab(GIN_FUNCTIONS)
    false = table[:8] + bytes(56) + table[:4] + b"\0\0\1\7" + bytes(8)
    found = in_memory(Program(info=None, modules=info(GIN, SYS), table=false + table, sections=False).content)
    assert found == ["pkg:golang/stdlib@1.22.1", GIN_PURL, SYS_PURL]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (b"main.main", "main"),
        (b"net/http.(*Server).Serve", "net/http"),
        (b"gopkg.in/yaml%2ev3.Unmarshal", "gopkg.in/yaml.v3"),
        (b"example.com/%c3%a9.F", "example.com/é"),
        (b"a.b/c.Map[go.shape.struct { d.e/f.X }].func1", "a.b/c"),
        (b"a.b/c.(*T[go.shape.string]).M", "a.b/c"),
        (b"a.b/c.(*struct { d.e/f.X }).M", "a.b/c"),
        (b"a.b/c.glob..func1", "a.b/c"),
    ],
)
def test_names(name: bytes, path: str) -> None:
    (prefix,) = package_prefixes(name + b"\0")
    assert import_path(prefix) == path


@pytest.mark.parametrize(
    "name", [b"_rt0_amd64_linux", b"", b".", b"(*T).M", b"a/b", b"a.b/", b"struct { a.b/c.T }.M"]
)
def test_what_names_no_package(name: bytes) -> None:
    assert package_prefixes(name + b"\0") == set()


@pytest.mark.parametrize("prefix", [b"a/%ff", b"a/%07", b"a/" + b"x" * 512])
def test_what_is_no_import_path(prefix: bytes) -> None:
    assert import_path(prefix) is None


def test_names_take_linear_time() -> None:
    for hostile in (b"a/" * 500_000, b"a." * 500_000, b"a.b/" * 250_000, b"a\0" * 500_000, b"a.\0" * 300_000):
        with at_little_cost():
            package_prefixes(hostile + b"\0")


def test_ldflags_that_name_no_version() -> None:
    for flags in ("-X main.commit=abc", "-X main.version=dev", "-w -s", "-X main.version="):
        modules = parse_modules(info(f'build -ldflags="{flags}"'))
        assert modules.by_prefix["example.com/app"].version is None


def test_a_segment_far_larger_than_the_file_is_not_walked() -> None:
    content = bytearray(Program(GIN_FUNCTIONS, info(GIN), table=bytes(64), sections=False).content)
    struct.pack_into("<Q", content, 64 + 56 + 32, 1 << 60)
    with at_little_cost():
        assert in_memory(bytes(content)) == ["pkg:golang/stdlib@1.22.1"]


def test_a_sparse_file_of_a_tebibyte_takes_its_time_once(container: Container) -> None:
    content = bytearray(Program(GIN_FUNCTIONS, info(GIN), table=bytes(64), sections=False).content)
    struct.pack_into("<Q", content, 64 + 56 + 32, 1 << 40)
    path = container.write("/app/server", bytes(content))
    os.truncate(container.folder / "app/server", 1 << 40)
    with in_time():
        assert {container.skip(path) for _ in range(15)} == {SkipReason.TOO_SLOW}


def test_header_sizes_out_of_bounds_are_refused() -> None:
    content = bytearray(Program().content)
    content[54:56] = (0xFFFF).to_bytes(2, "little")
    with pytest.raises(NotElf):
        Layout(lambda offset, size: bytes(content[offset : offset + size]))


def test_speed_of_what_is_not_go(container: Container) -> None:
    content = bytearray(elf([Part(0x1000, bytes(4096), 5)], [(".text", 0x1000, 4096)]))
    struct.pack_into("<Q", content, 64 + 32, 1 << 30)  # which nobody has to read
    paths = [container.write(f"/bin/{number}", bytes(content)) for number in range(1500)]
    for path in paths:
        os.truncate(container.folder / path[1:], 1 << 30)
    with at_little_cost():  # 0.1 ms for each on an idle machine, which may become 2
        for path in paths:
            container.skip(path)
