"""Which assemblies of a single-file program are mapped: real processes, and the arithmetic of pages."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from sensor.model.container import ContainerIdentity
from sensor.model.package import Evidence
from sensor.node.backfill.mappings import Mapping
from sensor.node.introspect.dotnet import COMPRESSED, DotnetProbe, entries_mapped
from sensor.node.introspect.interface import Subject
from sensor.node.resolve.dotnet.bundle import Entry, read_bundle
from sensor.node.rootfs import RootFilesystem
from tests.edges.dotnet_bytes import SIGNATURE, bundle, deps, runtime

PAGE = os.sysconf("SC_PAGE_SIZE")
_BYTES = ",".join(f"0x{byte:02x}" for byte in bytes(8) + SIGNATURE)
# A host as far as it matters here: the marker, and parts of its own file mapped, as arguments say.
_SOURCE = f"""
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
static volatile uint8_t marker[40] = {{{_BYTES}}};
int main(int count, char **arguments)
{{
	int file = open("/proc/self/exe", O_RDONLY);
	for (int index = 1; index + 1 < count; index += 2)
		mmap(0, atol(arguments[index + 1]), PROT_READ, MAP_PRIVATE, file, atol(arguments[index]));
	close(file);
	return write(1, "r", 1) == 1 && marker[0] <= 255 ? pause() : 1;
}}
"""
_PACKAGES = {f"{name}/1.0.0": runtime(f"lib/net8.0/{name}.dll") for name in ("Used", "Unused", "Late")}
_FILES = {
    "App.deps.json": deps(_PACKAGES),
    "Unused.dll": b"u" * 30_000,
    "Used.dll": b"v" * 30_000,
    "Late.dll": b"w" * 30_000,
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("host")
    (folder / "host.c").write_text(_SOURCE)
    subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "-o", folder / "host", folder / "host.c"], check=True)
    return (folder / "host").read_bytes()


def _subject(pid: int) -> Subject:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    start = int(fields[19]) * (1_000_000_000 // os.sysconf("SC_CLK_TCK"))
    identity = ContainerIdentity("c", "runc")
    return Subject(pid, start, "App", 1, 1, identity)


@contextmanager
def _running(program: Path, *ranges: int) -> Iterator[Subject]:
    process = subprocess.Popen([program, *map(str, ranges)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"r"
        yield _subject(process.pid)
    finally:
        process.kill()
        process.communicate()


def _program(folder: Path, content: bytes) -> Path:
    path = folder / "App"
    path.write_bytes(content)
    path.chmod(0o755)
    return path


def _span(entry: Entry) -> tuple[int, int]:
    start = entry.offset // PAGE * PAGE
    return start, entry.offset + entry.stored - start


@pytest.fixture
def root() -> Iterator[RootFilesystem]:
    descriptor = os.open("/", os.O_PATH)
    yield RootFilesystem(descriptor)
    os.close(descriptor)


def _entries(content: bytes, folder: Path) -> dict[str, Entry]:
    path = _program(folder, content)
    with path.open("rb") as file:
        found = read_bundle(file, len(content))
    assert found is not None
    return {entry.path: entry for entry in found.entries}


@pytest.mark.parametrize("align", [16, 4096])
def test_mapped_assemblies_of_a_real_process(
    tmp_path: Path, host: bytes, root: RootFilesystem, align: int
) -> None:
    content = bundle(_FILES, start=host, align=align)
    entries = _entries(content, tmp_path)
    program = tmp_path / "App"
    probe = DotnetProbe()
    with _running(program, *_span(entries["Used.dll"])) as subject:
        found = probe.look(subject, root, ())
        first = probe.stamp(subject, root)
    assert found is not None
    assert found.problem == ""
    assert [(use.package.purl, use.evidence, use.path) for use in found.uses] == [
        ("pkg:nuget/Used@1.0.0", Evidence.MAPPED, str(program))
    ]
    with _running(program, *_span(entries["Used.dll"]), *_span(entries["Late.dll"])) as subject:
        assert probe.stamp(subject, root) not in {None, first}


def test_sections_of_an_assembly_count_and_the_whole_file_does_not(
    tmp_path: Path, host: bytes, root: RootFilesystem
) -> None:
    content = bundle(_FILES, start=host)
    start, _ = _span(_entries(content, tmp_path)["Late.dll"])
    with _running(tmp_path / "App", start + 2 * PAGE, PAGE, 0, len(content)) as subject:
        found = DotnetProbe().look(subject, root, ())
    assert found is not None
    assert [use.package.name for use in found.uses] == ["Late"]


def test_compressed_assemblies_leave_no_trace_and_that_is_said(
    tmp_path: Path, host: bytes, root: RootFilesystem
) -> None:
    content = bundle(_FILES, start=host, packed=("Used.dll",))
    _entries(content, tmp_path)
    with _running(tmp_path / "App") as subject:
        found = DotnetProbe().look(subject, root, ())
    assert found is not None
    assert (found.uses, found.problem) == ((), COMPRESSED)


def test_other_programs_are_none_of_ours(root: RootFilesystem, tmp_path: Path, host: bytes) -> None:
    probe = DotnetProbe()
    assert probe.look(_subject(os.getpid()), root, ()) is None
    with _running(_program(tmp_path, host)) as subject:  # a host whose application lies beside it
        assert probe.look(subject, root, ()) is None
    assert probe.look(subject, root, ()) is None, "it has ended"
    assert probe.stamp(subject, root) is None
    probe.sweep()


def test_a_program_that_was_replaced_is_not_believed(
    tmp_path: Path, host: bytes, root: RootFilesystem
) -> None:
    content = bundle(_FILES, start=host)
    span = _span(_entries(content, tmp_path)["Used.dll"])
    with _running(tmp_path / "App", *span) as subject:
        (tmp_path / "App").unlink()
        assert DotnetProbe().look(subject, root, ()) is None


def _entry(offset: int, size: int, packed: bool = False) -> Entry:
    return Entry(f"{offset}.dll", offset, size, size, packed)


def _mapping(offset: int, pages: int) -> Mapping:
    return Mapping(0x10000, 0x10000 + pages * PAGE, "r--p", offset, "0:1", 1, "/app/App")


@pytest.mark.parametrize(
    ("mapped", "expected"),
    [
        ((0, 1), []),  # the program itself
        ((10 * PAGE, 3), [0]),  # all of the first
        ((11 * PAGE, 1), [0]),  # its second page
        ((12 * PAGE, 1), []),  # its last, and the first of the second
        ((12 * PAGE, 2), [1]),
        ((12 * PAGE, 3), [1]),
        ((13 * PAGE, 1), [1]),
        ((14 * PAGE, 1), []),  # the end of the second, and two small ones
        ((10 * PAGE, 6), []),  # more than any
        ((40 * PAGE, 1), []),  # behind all
    ],
)
def test_a_mapping_speaks_for_the_one_entry_it_lies_in(
    mapped: tuple[int, int], expected: Sequence[int]
) -> None:
    entries = [
        _entry(10 * PAGE + 16, 2 * PAGE),
        _entry(12 * PAGE + 64, 2 * PAGE),
        _entry(14 * PAGE + 128, 100),
        _entry(14 * PAGE + 256, 100),
    ]
    found = list(entries_mapped(entries, [_mapping(*mapped)]))
    assert found == [entries[index] for index in expected]


def test_what_is_packed_is_never_mapped_as_an_assembly() -> None:
    assert list(entries_mapped([_entry(10 * PAGE, PAGE, packed=True)], [_mapping(10 * PAGE, 1)])) == []
