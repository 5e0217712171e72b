"""Go programs that the toolchain of this machine builds, on disk and running."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from sensor.model.container import ContainerIdentity
from sensor.model.package import Evidence, Skipped
from sensor.node.introspect.go import UNREADABLE, GoProbe
from sensor.node.introspect.interface import Finding, Subject
from sensor.node.resolve.go.resolver import GoResolver
from sensor.node.rootfs import RootFilesystem
from tests.edges.go import GIN, GIN_FUNCTIONS
from tests.edges.go_bytes import Part, Program, elf, info

SOURCES = {
    "go.mod": "module example.com/app\n\ngo 1.20\n\n"
    "require example.com/dep.v1 v1.2.3\nrequire example.com/unused v0.1.0\n"
    "replace example.com/dep.v1 => ./dep\nreplace example.com/unused => ./unused\n",
    "main.go": """
        package main

        import (
            "fmt"
            "os"

            dep "example.com/dep.v1"
            "example.com/dep.v1/sub"
            "example.com/unused"
        )

        func notCalled() { unused.Nothing() }

        func main() {
            fmt.Println(dep.Hello(), sub.Pair(1).First)
            os.Stdin.Read(make([]byte, 1))
        }
        """,
    "dep/go.mod": "module example.com/dep.v1\n\ngo 1.20\n",
    "dep/dep.go": 'package dep\n\n//go:noinline\nfunc Hello() string { return "hello" }\n',
    "dep/sub/sub.go": """
        package sub

        type Two[T any] struct{ First, Second T }

        //go:noinline
        func Pair[T any](value T) Two[T] { return Two[T]{value, value} }
        """,
    "unused/go.mod": "module example.com/unused\n\ngo 1.20\n",
    "unused/unused.go": "package unused\n\n//go:noinline\nfunc Nothing() {}\n",
}
LINKED = {"pkg:golang/example.com/dep.v1@v1.2.3", "pkg:golang/example.com/dep.v1@v1.2.3#sub"}
BUILDS: Mapping[str, tuple[str, ...]] = {
    "usual": (),
    "stripped": ("-ldflags=-s -w", "-trimpath"),
    "pie": ("-buildmode=pie",),
}
_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("go")
    for name, content in SOURCES.items():
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        target.write_text(textwrap.dedent(content))
    for name, flags in BUILDS.items():
        environment = {**os.environ, "CGO_ENABLED": "0", "GOPROXY": "off", "GOFLAGS": "-buildvcs=false"}
        command = ["go", "build", *flags, "-o", name, "."]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    return folder


def purls(folder: Path, path: str) -> set[str]:
    root_fd = os.open(folder, os.O_PATH)
    try:
        result = GoResolver().resolve_program(RootFilesystem(root_fd), path)
    finally:
        os.close(root_fd)
    assert not isinstance(result, Skipped), result
    return {use.package.purl for use in result}


def standard_library() -> str:
    version = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout
    return f"pkg:golang/stdlib@{version.strip().removeprefix('go')}"


@pytest.mark.parametrize("build", BUILDS)
def test_a_program_on_disk(programs: Path, build: str) -> None:
    assert purls(programs, f"/{build}") == {*LINKED, standard_library()}


@pytest.mark.parametrize("build", BUILDS)
def test_a_program_without_section_headers(programs: Path, build: str) -> None:
    content = bytearray((programs / build).read_bytes())
    struct.pack_into("<Q", content, 40, 0)
    struct.pack_into("<HHH", content, 58, 0, 0, 0)
    (programs / f"{build}.sstrip").write_bytes(content)
    assert purls(programs, f"/{build}.sstrip") == {*LINKED, standard_library()}


@contextmanager
def running(*command: str, wait_for: bytes = b"hello") -> Iterator[int]:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        try:
            assert wait_for in process.stdout.readline()
            yield process.pid
        finally:
            process.stdin.close()
            process.kill()


def subject(pid: int) -> Subject:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Subject(pid, int(fields[19]) * _TICK, "x", 0, 0, ContainerIdentity(id="0" * 64, runtime="test"))


def look(pid: int, probe: GoProbe | None = None) -> Finding | None:
    root_fd = os.open("/", os.O_PATH)
    try:
        return (probe or GoProbe()).look(subject(pid), RootFilesystem(root_fd), ())
    finally:
        os.close(root_fd)


@pytest.mark.parametrize("build", BUILDS)
def test_a_running_program_whose_file_is_gone(programs: Path, build: str) -> None:
    program = programs / f"{build}.copy"
    program.write_bytes((programs / build).read_bytes())
    program.chmod(0o755)
    probe = GoProbe()
    with running(str(program)) as pid:
        root = RootFilesystem(-1)
        program.unlink()
        assert probe.stamp(subject(pid), root) is None
        finding = look(pid, probe)
        assert probe.stamp(subject(pid), root) == probe.stamp(subject(pid), root) is not None
    assert finding is not None
    assert finding.problem == ""
    assert {use.package.purl for use in finding.uses} == {*LINKED, standard_library()}
    assert {(use.evidence, use.path) for use in finding.uses} == {(Evidence.EXECUTED, str(program))}


# What a packer's stub does: another image stands in anonymous memory.
UNPACK = """
import mmap, sys
content, base = open(sys.argv[1], "rb").read(), {base}
memory = mmap.mmap(-1, 8 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=7)
for place, offset, size in {pieces}:
    memory[place:place + size] = content[offset:offset + size]
print("unpacked", flush=True)
sys.stdin.read()
"""


def unpack(content: bytes) -> str:
    """A script for Python that lays ``content`` out as its program headers say, the header first."""
    count = struct.unpack_from("<H", content, 56)[0]
    headers = [struct.unpack_from("<2I6Q", content, 64 + 56 * index) for index in range(count)]
    base = headers[0][3] - headers[0][2]
    pieces = [(0, 0, 64 + 56 * count), *((head[3] - base, head[2], head[5]) for head in headers)]
    return UNPACK.format(base=base, pieces=pieces)


@contextmanager
def unpacked(content: bytes, folder: Path) -> Iterator[int]:
    (folder / "packed").write_bytes(content)
    script = unpack(content)
    with running(sys.executable, "-c", script, str(folder / "packed"), wait_for=b"unpacked") as pid:
        yield pid


def test_a_program_unpacked_to_anonymous_memory(tmp_path: Path) -> None:
    content = Program(GIN_FUNCTIONS, info(GIN), sections=False).content
    (tmp_path / "packed").write_bytes(content)
    with running(
        sys.executable, "-c", unpack(content), str(tmp_path / "packed"), wait_for=b"unpacked"
    ) as pid:
        finding = look(pid)
    assert finding is not None
    assert [use.package.purl for use in finding.uses] == [
        "pkg:golang/stdlib@1.22.1",
        "pkg:golang/github.com/gin-gonic/gin@v1.10.0",
    ]


def test_an_obfuscated_program_in_memory_is_said(tmp_path: Path) -> None:
    content = Program(GIN_FUNCTIONS, version="unknown", sections=False).content
    (tmp_path / "packed").write_bytes(content)
    with running(
        sys.executable, "-c", unpack(content), str(tmp_path / "packed"), wait_for=b"unpacked"
    ) as pid:
        assert look(pid) == Finding((), "skipped_obfuscated")


def test_what_is_packed_and_not_there_yet_is_said(tmp_path: Path) -> None:
    content = elf([Part(0x1000, b"\0\0\0\0UPX!" + bytes(64), 5)])
    (tmp_path / "packed").write_bytes(content)
    probe = GoProbe()
    with running(
        sys.executable, "-c", unpack(content), str(tmp_path / "packed"), wait_for=b"unpacked"
    ) as pid:
        assert look(pid, probe) == Finding((), UNREADABLE)
        assert probe.stamp(subject(pid), RootFilesystem(-1)) is None  # it is to be asked again


def test_other_programs_are_told_apart_quickly() -> None:
    with running(sys.executable, "-c", "print('hello', flush=True); input()") as pid:
        times = []
        for _ in range(10):
            begun = time.perf_counter()
            assert look(pid) is None
            times.append(time.perf_counter() - begun)
    assert min(times) < 0.05  # 2 ms on an idle machine


def test_a_process_that_is_gone_or_another_by_now() -> None:
    with running(sys.executable, "-c", "print('hello', flush=True); input()") as pid:
        one = subject(pid)
    assert GoProbe().look(one, RootFilesystem(-1), ()) is None
    other = Subject(os.getpid(), 1, "x", 0, 0, one.container)
    assert GoProbe().look(other, RootFilesystem(-1), ()) is None
