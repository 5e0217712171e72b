"""Processes and their files: this test's own process and children, and a /proc written by hand."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor.node.backfill import processes
from sensor.node.backfill.processes import Process, ProcessFile, ProcessTable
from tests.clock import PATIENCE, until

TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
ME = os.getpid()


def namespace_of(pid: int) -> int:
    return os.stat(f"/proc/{pid}/ns/mnt").st_ino


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    process.stdout.readline()
    yield process
    process.stdin.close()
    process.wait(PATIENCE)
    process.stdout.close()


def test_a_process_as_it_is(child: subprocess.Popen[bytes]) -> None:
    found = {process.pid: process for process in ProcessTable().processes_of(namespace_of(ME))}
    process = found[child.pid]
    executable = os.stat(sys.executable)
    assert process.mount_namespace == namespace_of(ME)
    assert process.uid == os.geteuid()
    assert process.comm == Path(f"/proc/{child.pid}/comm").read_text().rstrip("\n")
    assert process.executable.inode == executable.st_ino
    assert process.executable.device == os.major(executable.st_dev) << 20 | os.minor(executable.st_dev)
    assert process.executable_name == Path(os.path.realpath(sys.executable)).name
    assert process.cgroups == Path(f"/proc/{child.pid}/cgroup").read_text()
    assert process.cgroup_path.startswith("/")
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert now - 60_000_000_000 < process.start_boottime <= now
    assert process.start_boottime % TICK == 0


def test_only_of_the_namespace_that_was_asked_for() -> None:
    assert ProcessTable().processes_of(1) == ()


def test_the_host_is_left_out_unless_asked_for() -> None:
    table = ProcessTable()
    mine = namespace_of(ME)
    assert ME not in {process.pid for process in table.all_containers_processes(mine)}
    assert ME in {process.pid for process in table.all_containers_processes(0)}
    assert all(process.mount_namespace != mine for process in table.all_containers_processes(mine))


def test_zombies_and_kernel_threads_are_left_out() -> None:
    zombie = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert zombie.stdout
    zombie.stdout.read()  # ends with the process, which nobody has waited for
    until(lambda: b") Z " in Path(f"/proc/{zombie.pid}/stat").read_bytes())
    assert zombie.pid not in {process.pid for process in ProcessTable().all_containers_processes(0)}
    zombie.wait()
    zombie.stdout.close()


def test_a_process_that_has_gone_is_nothing() -> None:
    table = ProcessTable()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert table.mapped_files(gone.pid) == ()
    assert table.open_files(gone.pid) == ()
    assert table.counters["vanished"] == 2


def test_mapped_files_each_once_with_odd_names_and_deleted_ones(tmp_path: Path) -> None:
    names = ["plain", "with space", "new\nline", r"back\040slash", "gone", "x (deleted)"]
    maps = []
    for name in names:
        (tmp_path / name).write_bytes(b"\0" * 8192)
        with (tmp_path / name).open("rb") as file:
            maps += [mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ) for _ in range(2)]
    (tmp_path / "gone").unlink()
    found = [file for file in ProcessTable().mapped_files(ME) if file.startswith(str(tmp_path))]
    for mapped in maps:
        mapped.close()
    # "x (deleted)" cannot be told from a deleted "x": the kernel writes both the same.
    expected = {str(tmp_path / name): name in ("gone", "x") for name in (*names[:-1], "x")}
    assert {str(file): file.deleted for file in found} == expected
    assert len(found) == len(names)


def test_mapped_files_are_files_only() -> None:
    files = ProcessTable().mapped_files(ME)
    assert os.path.realpath(sys.executable) in files
    assert len(files) == len(set(files))
    assert not [file for file in files if file.startswith("[")]


def test_open_files_are_regular_ones_only(tmp_path: Path) -> None:
    (tmp_path / "kept").touch()
    (tmp_path / "gone").touch()
    os.mkfifo(tmp_path / "fifo")
    descriptors = [
        os.open(tmp_path / name, os.O_RDONLY | os.O_NONBLOCK) for name in ("kept", "kept", "gone", "fifo")
    ]
    descriptors += [os.open(tmp_path, os.O_RDONLY), os.open("/dev/null", os.O_RDONLY)]
    (tmp_path / "gone").unlink()
    found = [file for file in ProcessTable().open_files(ME) if file.startswith((str(tmp_path), "/dev"))]
    for descriptor in descriptors:
        os.close(descriptor)
    assert {str(file): file.deleted for file in found} == {
        str(tmp_path / "kept"): False,
        str(tmp_path / "gone"): True,
    }


def test_bounds_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    table = ProcessTable()
    first = Path("/proc/self/maps").read_bytes().index(b"\n")
    monkeypatch.setattr(processes, "MAPS_BYTES", first - 3)
    assert table.mapped_files(ME) == ()  # no path is cut in half
    monkeypatch.setattr(processes, "OPEN_FILES", 1)
    with (tmp_path / "one").open("wb"), (tmp_path / "two").open("wb"):
        table.open_files(ME)
    assert table.counters == {"maps_cut": 1, "open_files_cut": 1}


class FakeProc:
    """A /proc of one process, 42, whose every part a test may spoil."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "42"
        (self.folder / "ns").mkdir(parents=True)
        (self.folder / "ns/mnt").symlink_to("mnt:[4026532000]")
        (folder / "python3").touch()
        (self.folder / "exe").symlink_to(folder / "python3")
        self.write("stat", b"42 (a) b (c)) S " + b"0 " * 18 + b"77 0 0\n")
        self.write("cgroup", b"0::/pod\n")
        self.table = ProcessTable(str(folder))

    def write(self, name: str, content: bytes) -> None:
        (self.folder / name).write_bytes(content)

    def process(self) -> Process | None:
        found = self.table.all_containers_processes(1)
        return found[0] if found else None


@pytest.fixture
def fake(tmp_path: Path) -> FakeProc:
    return FakeProc(tmp_path)


def test_a_name_full_of_parentheses(fake: FakeProc) -> None:
    process = fake.process()
    assert process is not None
    assert (process.comm, process.start_boottime, process.mount_namespace) == (
        "a) b (c)",
        77 * TICK,
        4026532000,
    )


@pytest.mark.parametrize(
    ("cgroups", "path"),
    [
        (b"0::/kubepods/x\n", "/kubepods/x"),
        (b"9:pids:/p\n4:memory:/m\n0::/u\n", "/m"),
        (b"9:pids:/p\n4:cpu,cpuacct:/c\n0::/u\n", "/p"),
        (b"3:hugetlb,memory,pids:/all\n1:name=systemd:/s\n", "/all"),
        (b"5:name=memory-like:/no\n0::/a:b\n", "/a:b"),
        (b"\xff\n", ""),
        (b"", ""),
    ],
)
def test_the_hierarchy_that_names_containers(fake: FakeProc, cgroups: bytes, path: str) -> None:
    fake.write("cgroup", cgroups)
    process = fake.process()
    assert process is not None
    assert process.cgroup_path == path


@pytest.mark.parametrize("stat", [b"", b"42", b"42 (x) S 1 2", b"42 (x) S " + b"x " * 40])
def test_a_stat_that_says_nothing_is_no_process(fake: FakeProc, stat: bytes) -> None:
    fake.write("stat", stat)
    assert fake.process() is None


@pytest.mark.parametrize("link", ["mnt:[]", "mnt:[x]", "elsewhere"])
def test_a_namespace_without_a_number_is_no_process(fake: FakeProc, link: str) -> None:
    (fake.folder / "ns/mnt").unlink()
    (fake.folder / "ns/mnt").symlink_to(link)
    assert fake.process() is None


@pytest.mark.parametrize(
    "maps", [b"\n \n", b"junk /\n", b" /x", b"7f-80 r-xp 0 0:0 0 \xff/x\n", b"\0 /" * 1000]
)
def test_maps_that_are_junk(fake: FakeProc, maps: bytes) -> None:
    fake.write("maps", maps)
    assert fake.table.mapped_files(42) == ()


def test_a_path_is_a_string_that_knows_more() -> None:
    file = ProcessFile("/a/b (deleted)")
    assert (file, file.deleted, file in {"/a/b"}) == ("/a/b", True, True)
