"""Who hosts a runtime: real interpreters, real processes, and ELF files written here byte by byte."""

from __future__ import annotations

import io
import mmap
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sensor.model.events import EventFlag, EventKind, FileId, KernelEvent
from sensor.model.package import Ecosystem
from sensor.node.resolve.elf import NotElf, dynamic_facts
from sensor.node.resolve.openers import GONE_SECONDS, SURE_SECONDS, UNSURE_SECONDS, Openers
from sensor.node.resolve.runtimes import SYMBOLS, library_of, named
from sensor.node.rootfs import RootFilesystem
from tests.clock import PATIENCE

PYTHON = frozenset({Ecosystem.PYPI})
NODE = frozenset({Ecosystem.NPM})
NOBODY: frozenset[Ecosystem] = frozenset()
TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def elf(
    *, needed: tuple[str, ...] = (), exports: tuple[str, ...] = (), interpreted: bool = True, bits: int = 64,
    order: str = "<", hashed: str = "gnu",
) -> bytes:  # fmt: skip
    """A program with one segment at address 0x10000 that holds the whole file."""
    wide, base = bits == 64, 0x10000
    word = "Q" if wide else "I"
    names = b"\0"
    offsets = {}
    for name in (*needed, *exports):
        offsets[name] = len(names)
        names += name.encode() + b"\0"
    symbols = b"\0" * (24 if wide else 16)
    for name in exports:
        fields = (offsets[name], 0x12, 0, 1, 64, 8) if wide else (offsets[name], 64, 8, 0x12, 0, 1)
        symbols += struct.pack(order + ("IBBHQQ" if wide else "IIIBBH"), *fields)
    if hashed == "gnu":  # one bucket, its chain ends at the last symbol
        table = struct.pack(f"{order}4I{word}I", 1, 1, 1, 0, 0, 1 if exports else 0)
        hashes = [gnu_hash(name) for name in exports]
        table += b"".join(
            struct.pack(order + "I", value & ~1 | (at == len(hashes) - 1)) for at, value in enumerate(hashes)
        )
    else:
        chain = [0, *[at + 1 for at in range(1, len(exports))], 0][: len(exports) + 1]
        table = struct.pack(f"{order}3I{len(chain)}I", 1, len(chain), 1 if exports else 0, *chain)
    headers = 64 + 3 * 56 if wide else 52 + 3 * 32
    at_names = headers
    at_symbols = at_names + len(names)
    at_hash = at_symbols + len(symbols)
    at_dynamic = at_hash + len(table)
    entries = [(1, offsets[name]) for name in needed]
    entries += [
        (5, base + at_names),
        (6, base + at_symbols),
        (0x6FFFFEF5 if hashed == "gnu" else 4, base + at_hash),
    ]
    dynamic = b"".join(struct.pack(order + word * 2, *entry) for entry in (*entries, (0, 0)))
    total = at_dynamic + len(dynamic)

    def program(kind: int, offset: int, size: int) -> bytes:
        if wide:
            return struct.pack(order + "2I6Q", kind, 4, offset, base + offset, 0, size, size, 8)
        return struct.pack(order + "8I", kind, offset, base + offset, 0, size, size, 4, 4)

    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + b"\0" * 9
    start = 64 if wide else 52
    rest = struct.pack(
        f"{order}HHI3{word}I6H", 3, 0, 1, 0, start, 0, 0, start, 56 if wide else 32, 3, 0, 0, 0
    )
    segments = program(1, 0, total) + program(2, at_dynamic, len(dynamic))
    segments += program(3 if interpreted else 0, 0, 0)
    return ident + rest + segments + names + symbols + table + dynamic


def gnu_hash(name: str) -> int:
    value = 5381
    for byte in name.encode():
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("hashed", ["gnu", "sysv"])
def test_elf_of_every_kind(bits: int, order: str, hashed: str) -> None:
    content = elf(
        needed=("libc.so.6", "libpython3.11.so.1.0"), exports=("napi_module_register", "other"), bits=bits,
        order=order, hashed=hashed,
    )  # fmt: skip
    facts = dynamic_facts(io.BytesIO(content), (*SYMBOLS, "other"))
    assert facts.needed == {"libc.so.6", "libpython3.11.so.1.0"}
    assert facts.exported == {"napi_module_register", "other"}
    assert facts.interpreted


def test_elf_that_is_broken_in_any_byte_or_cut_anywhere_is_survived() -> None:
    whole = elf(needed=("libc.so.6",), exports=("Py_Main", "napi_module_register"))
    refused = 0
    for position in range(len(whole)):
        for content in (whole[:position], whole[:position] + b"\xff" + whole[position + 1 :]):
            try:
                dynamic_facts(io.BytesIO(content), SYMBOLS)
            except (NotElf, OSError):
                refused += 1
    assert refused > 100


def test_an_endless_hash_chain_ends() -> None:
    content = bytearray(elf(exports=("a", "b"), hashed="sysv"))
    at = content.rindex(struct.pack("<6I", 1, 3, 1, 0, 2, 0))
    content[at + 16 : at + 20] = struct.pack("<I", 1)  # symbol 1 is followed by symbol 1
    facts = dynamic_facts(io.BytesIO(bytes(content)), ("b",))
    assert facts.exported == frozenset()


def test_a_symbol_that_is_only_imported_is_not_exported() -> None:
    content = bytearray(elf(exports=("Py_Main",), hashed="sysv"))
    symbol = struct.pack("<IBBHQQ", 1, 0x12, 0, 1, 64, 8)
    at = content.index(symbol)
    assert dynamic_facts(io.BytesIO(bytes(content)), SYMBOLS).exported == {"Py_Main"}
    content[at + 6 : at + 8] = b"\0\0"  # SHN_UNDEF
    assert dynamic_facts(io.BytesIO(bytes(content)), SYMBOLS).exported == frozenset()


@pytest.mark.parametrize(
    ("name", "hosted"),
    [
        ("python", PYTHON),
        ("python3", PYTHON),
        ("python3.13t", PYTHON),
        ("pypy3.10", PYTHON),
        ("platform-python3.6", PYTHON),
        ("node", NODE),
        ("nodejs", NODE),
        ("node-20", NODE),
        ("bun", NODE),
        ("deno", NODE),
        ("java", frozenset({Ecosystem.MAVEN})),
        ("dotnet", frozenset({Ecosystem.NUGET})),
        ("tar", NOBODY),
        ("python-backup", NOBODY),
        ("node_exporter", NOBODY),
        ("nodefs", NOBODY),
        ("javac", NOBODY),
    ],
)
def test_names(name: str, hosted: frozenset[Ecosystem]) -> None:
    assert named(name) == hosted


@pytest.mark.parametrize(
    ("name", "hosted"),
    [
        ("libpython3.11.so.1.0", PYTHON),
        ("libpython3.6m.so", PYTHON),
        ("libpypy3.10-c.so", PYTHON),
        ("mod_wsgi.so-3.11", NOBODY),
        ("mod_wsgi-py311.cpython-311-x86_64-linux-gnu.so", PYTHON),
        ("libnode.so.108", NODE),
        ("libjvm.so", frozenset({Ecosystem.MAVEN})),
        ("libcoreclr.so", frozenset({Ecosystem.NUGET})),
        ("libboost_python311.so", NOBODY),
        ("libpython3.11.a", NOBODY),
        ("libpythonista.so", NOBODY),
    ],
)
def test_libraries(name: str, hosted: frozenset[Ecosystem]) -> None:
    assert library_of(name) == hosted


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def openers(clock: Clock) -> Openers:
    return Openers(clock=clock)


@pytest.fixture
def root() -> Iterator[RootFilesystem]:
    """The machine's own root: the programs of the tests lie there."""
    fd = os.open("/", os.O_PATH)
    yield RootFilesystem(fd)
    os.close(fd)


def started(pid: int) -> int:
    stat = Path(f"/proc/{pid}/stat").read_bytes()
    return int(stat.rpartition(b")")[2].split()[19]) * TICK


def event(
    executable: Path, *, path: str = "/x.js", process: tuple[int, int] = (0, 0),
    kind: EventKind = EventKind.OPEN, namespace: int = 1, flags: EventFlag = EventFlag.NONE,
) -> KernelEvent:  # fmt: skip
    status = executable.stat() if executable.exists() else None
    file = FileId(status.st_ino if status else 7, 1)
    return KernelEvent(
        kind=kind,
        flags=flags,
        time=0,
        pid=process[0],
        start_boottime=process[1],
        uid=0,
        comm="",
        mount_namespace=namespace,
        mount_namespace_id=0,
        cgroup_id=0,
        cgroup_path="",
        executable=file,
        executable_name=executable.name,
        file=FileId(1, 1),
        path=path,
        seen_key=b"",
    )


def run(executable: Path, namespace: int = 1, flags: EventFlag = EventFlag.NONE) -> KernelEvent:
    """The exec of ``executable`` as the kernel reports it."""
    return event(executable, path=str(executable), kind=EventKind.EXEC, namespace=namespace, flags=flags)


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def test_the_python_that_runs_this_under_any_name(
    openers: Openers, root: RootFilesystem, tmp_path: Path
) -> None:
    renamed = tmp_path / "gunicorn-worker"
    shutil.copy(os.path.realpath(sys.executable), renamed)
    openers.observe(run(renamed))
    assert openers.ecosystems(event(renamed), root) == PYTHON


def test_a_cat_named_python_is_no_python(openers: Openers, root: RootFilesystem, tmp_path: Path) -> None:
    impostor = tmp_path / "python3"
    shutil.copy(os.path.realpath("/bin/cat"), impostor)
    openers.observe(run(impostor))
    assert openers.ecosystems(event(impostor), root) == NOBODY


@pytest.mark.parametrize("name", ["cat", "tar", "grep", "cp"])
def test_what_copies_files_hosts_nothing(openers: Openers, root: RootFilesystem, name: str) -> None:
    found = shutil.which(name)
    assert found
    copier = Path(os.path.realpath(found))
    openers.observe(run(copier))
    openers.observe(event(copier, path="/usr/lib/libpython3.11.so.1.0"))  # it copies a library
    assert openers.ecosystems(event(copier), root) == NOBODY


@pytest.mark.parametrize(
    ("content", "hosted"),
    [
        (elf(needed=("libnode.so.108",)), NODE),
        (elf(needed=("/nix/store/x/lib/libpython3.11.so.1.0",)), PYTHON),
        (elf(exports=("napi_module_register", "Py_BytesMain")), NODE | PYTHON),
        (elf(needed=("libc.so.6",)), NOBODY),
    ],
)
def test_the_executable_tells(
    openers: Openers, root: RootFilesystem, program: Callable[..., Path], content: bytes,
    hosted: frozenset[Ecosystem],
) -> None:  # fmt: skip
    path = program("service", content)
    openers.observe(run(path))
    assert openers.ecosystems(event(path), root) == hosted


@pytest.mark.parametrize("content", [elf(interpreted=False), b"#!not an ELF", b""])
def test_the_name_counts_where_the_executable_cannot_tell(
    openers: Openers, root: RootFilesystem, program: Callable[..., Path], content: bytes
) -> None:
    for name, hosted in (("python3", PYTHON), ("service", NOBODY)):
        path = program(name, content)
        openers.observe(run(path))
        assert openers.ecosystems(event(path), root) == hosted


def test_the_name_counts_where_the_executable_is_gone(openers: Openers, root: RootFilesystem) -> None:
    assert openers.ecosystems(event(Path("/nowhere/node")), root) == NODE
    assert openers.ecosystems(event(Path("/nowhere/node"), namespace=2), root) == NODE


def test_dotnet_is_told_by_its_name_alone(
    openers: Openers, root: RootFilesystem, program: Callable[..., Path]
) -> None:
    path = program("dotnet", elf(needed=("libc.so.6",)))
    openers.observe(run(path))
    assert openers.ecosystems(event(path), root) == {Ecosystem.NUGET}


MAP_WHEN_TOLD = """
import mmap, sys
print(flush=True)
protection = int(sys.stdin.readline())
file = open(sys.argv[1], "rb")
code = mmap.mmap(file.fileno(), 0, prot=protection, flags=mmap.MAP_PRIVATE)
print(flush=True)
sys.stdin.read()
"""
AS_DATA, AS_CODE = mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_EXEC


class Embedder:
    """A process that maps a file called libpython when it is told, as dlopen does or as a reader does."""

    def __init__(self, library: Path) -> None:
        self.library = str(library)
        self.child = subprocess.Popen(
            [sys.executable, "-c", MAP_WHEN_TOLD, self.library], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._await()
        self.process = (self.child.pid, started(self.child.pid) + TICK // 2)

    def map(self, protection: int) -> None:
        assert self.child.stdin
        self.child.stdin.write(b"%d\n" % protection)
        self.child.stdin.flush()
        self._await()

    def end(self) -> None:
        self.child.communicate(timeout=PATIENCE)

    def _await(self) -> None:
        assert self.child.stdout
        assert self.child.stdout.readline() == b"\n"


@pytest.fixture
def embedder(program: Callable[..., Path]) -> Iterator[Embedder]:
    embedder = Embedder(program("libpython3.99.so.1.0", b"\0" * 4096))
    yield embedder
    embedder.end()


@pytest.fixture
def server(openers: Openers, program: Callable[..., Path]) -> Path:
    """A program that links no interpreter, seen when it was started."""
    path = program("uwsgi", elf(needed=("libc.so.6",)))
    openers.observe(run(path))
    return path


def test_a_library_mapped_later_is_seen_at_its_open(
    openers: Openers, root: RootFilesystem, server: Path, embedder: Embedder
) -> None:
    assert openers.ecosystems(event(server), root) == NOBODY
    embedder.map(AS_CODE)
    openers.observe(event(server, path=embedder.library, process=embedder.process))
    assert openers.ecosystems(event(server), root) == PYTHON
    assert openers.ecosystems(event(server, namespace=2), root) == NOBODY


def test_a_library_not_mapped_yet_at_its_open_is_seen_at_the_next_event(
    openers: Openers, root: RootFilesystem, server: Path, embedder: Embedder
) -> None:
    assert openers.ecosystems(event(server, process=embedder.process), root) == NOBODY
    openers.observe(event(server, path=embedder.library, process=embedder.process))
    embedder.map(AS_CODE)
    assert openers.ecosystems(event(server, process=embedder.process), root) == PYTHON


def test_a_no_at_the_open_of_the_library_itself_is_not_kept(
    openers: Openers, root: RootFilesystem, server: Path, embedder: Embedder
) -> None:
    opened = event(server, path=embedder.library, process=embedder.process)
    openers.observe(opened)
    assert openers.ecosystems(opened, root) == NOBODY
    embedder.map(AS_CODE)
    assert openers.ecosystems(event(server, process=embedder.process), root) == PYTHON


def test_a_library_that_is_only_read_hosts_nothing(
    openers: Openers, root: RootFilesystem, server: Path, embedder: Embedder
) -> None:
    embedder.map(AS_DATA)
    openers.observe(event(server, path=embedder.library, process=embedder.process))
    assert openers.ecosystems(event(server, process=embedder.process), root) == NOBODY


def test_a_reused_pid_is_not_the_process(
    openers: Openers, root: RootFilesystem, server: Path, embedder: Embedder
) -> None:
    embedder.map(AS_CODE)
    other = (embedder.child.pid, embedder.process[1] - 3 * TICK)
    openers.observe(event(server, path=embedder.library, process=other))
    assert openers.ecosystems(event(server, process=other), root) == NOBODY


def test_mappings_are_looked_at_without_any_open(
    openers: Openers, root: RootFilesystem, server: Path, embedder: Embedder
) -> None:
    embedder.map(AS_CODE)
    assert openers.ecosystems(event(server, process=embedder.process), root) == PYTHON


def test_without_an_exec_seen_proc_names_the_executable(openers: Openers, root: RootFilesystem) -> None:
    stranger = event(Path("/nowhere/some-name"), process=(os.getpid(), started(os.getpid())))
    assert openers.ecosystems(stranger, root) == PYTHON


def test_a_path_that_may_be_cut_is_not_used(
    openers: Openers, root: RootFilesystem, program: Callable[..., Path]
) -> None:
    path = program("service", elf(exports=("Py_Main",)))
    openers.observe(run(path, flags=EventFlag.PATH_TRUNCATED))
    assert openers.ecosystems(event(path), root) == NOBODY


def test_how_long_an_answer_lives(
    openers: Openers, clock: Clock, root: RootFilesystem, program: Callable[..., Path]
) -> None:
    path = program("service", elf(needed=("libc.so.6",)))
    openers.observe(run(path))
    alive = event(path, process=(os.getpid(), started(os.getpid())))
    lives = ((event(path), GONE_SECONDS), (alive, UNSURE_SECONDS))
    for asked, life in lives:
        clock.now += SURE_SECONDS
        if asked is alive:  # the test's own python may have libpython mapped
            openers.hosting.discard((1, 0, alive.executable))
        openers.ecosystems(asked, root)
        decided = openers.decisions.get((1, 0, asked.executable))
        assert decided is not None
        assert decided.until == clock.now + life


def test_a_sure_answer_outlives_the_executable(
    openers: Openers, clock: Clock, root: RootFilesystem, program: Callable[..., Path]
) -> None:
    path = program("service", elf(exports=("Py_Main",)))
    asked = event(path)
    openers.observe(run(path))
    assert openers.ecosystems(asked, root) == PYTHON
    path.unlink()
    clock.now += SURE_SECONDS - 1
    assert openers.ecosystems(asked, root) == PYTHON
    clock.now += 2
    assert openers.ecosystems(asked, root) == NOBODY


def test_one_image_is_read_once(openers: Openers, root: RootFilesystem, program: Callable[..., Path]) -> None:
    path = program("service", elf(exports=("Py_Main",)))
    for namespace in range(20):
        openers.observe(run(path, namespace=namespace))
        assert openers.ecosystems(event(path, namespace=namespace), root) == PYTHON
    assert openers.facts.misses == 1


def test_caches_are_bounded(root: RootFilesystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensor.node.resolve.openers._ENTRIES", 8)
    openers = Openers()
    for namespace in range(20):
        openers.observe(run(Path("/nowhere/node"), namespace=namespace))
        openers.ecosystems(event(Path("/nowhere/node"), namespace=namespace), root)
    assert len(openers.decisions) == len(openers.paths) == 8
    assert openers.decisions.evictions == 12
