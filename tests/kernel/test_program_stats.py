"""What this kernel says of programs and maps: held against what is known to have happened."""

from __future__ import annotations

import ctypes
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor.node.capture import libbpf, program_stats
from sensor.node.capture.program_stats import LOOK_EVERY, SYSCTL, ProgramStatistics
from tests.kernel.conftest import Observer

pytestmark = pytest.mark.kernel

OPENS = 1_000
LRU_HASH, HASH = 9, 1  # enum bpf_map_type
LONG_SECONDS = 1e-3  # a hundred times what a run takes here


@pytest.fixture
def statistics(observer: Observer) -> ProgramStatistics:
    return observer.capture.program_statistics


@pytest.fixture
def counting_kernel() -> Iterator[None]:
    """The kernel counts time and runs of programs, as after ``sysctl kernel.bpf_stats_enabled=1``."""
    assert SYSCTL.read_text().strip() == "0", "turn kernel.bpf_stats_enabled off for the tests"
    SYSCTL.write_text("1")
    yield
    SYSCTL.write_text("0")


def open_files(count: int) -> None:
    for _ in range(count):
        os.close(os.open("/etc/passwd", os.O_RDONLY))


def test_runs_and_time_are_counted_while_the_kernel_does(
    statistics: ProgramStatistics, counting_kernel: None
) -> None:
    now = time.monotonic() + LOOK_EVERY
    statistics.turn(now)
    assert statistics.is_on
    before = statistics.read()["open"]
    open_files(OPENS)
    subprocess.run(["true"], check=True)
    after = statistics.read()
    runs = after["open"].runs - before.runs
    assert runs >= OPENS
    assert 0 < (after["open"].run_seconds - before.run_seconds) / runs < LONG_SECONDS
    assert after["exec"].runs >= 1
    statistics.turn(now + LOOK_EVERY)
    assert statistics.seconds == pytest.approx(LOOK_EVERY)


def test_while_the_kernel_does_not_nothing_is_counted(statistics: ProgramStatistics) -> None:
    statistics.turn(time.monotonic() + 10 * LOOK_EVERY)
    assert not statistics.is_on
    before = statistics.read()["open"].runs
    open_files(OPENS)
    # Others may have theirs on for a moment: a profiler.
    assert statistics.read()["open"].runs - before < OPENS


def test_one_open_in_a_thousand_and_every_exec_are_timed(observer: Observer) -> None:
    before = observer.capture.timed()
    opens, execs = 40_960, 20
    observer.run(
        f"for _ in range({opens}):\n    touch('/etc/passwd')\n"
        f"for _ in range({execs}):\n    os.spawnv(os.P_WAIT, '/bin/true', ['true'])"
    )
    after = observer.capture.timed()
    timed = after["open"].runs - before["open"].runs
    assert 10 <= timed <= 100  # 40 are expected; fewer than 10, or more than 100, in one run of 10 million
    assert 0 < (after["open"].seconds - before["open"].seconds) / timed < LONG_SECONDS
    timed = after["exec"].runs - before["exec"].runs
    assert execs < timed <= execs + 5  # those that make the namespace are in it
    assert 0 < (after["exec"].seconds - before["exec"].seconds) / timed < LONG_SECONDS


def test_the_programs_size_and_what_the_verifier_saw(statistics: ProgramStatistics) -> None:
    for figures in statistics.read().values():
        assert figures.jited_bytes > 1000
        assert figures.verified_instructions is None or figures.verified_instructions > 100
        assert figures.misses in (None, 0)


def test_a_descriptor_that_is_no_program(tmp_path: Path) -> None:
    with (
        (tmp_path / "file").open("w") as file,
        pytest.raises(OSError, match="tells nothing of a BPF program"),
    ):
        program_stats.read(libbpf.load(), file.fileno())


def make_map(library: ctypes.CDLL, kind: int, most: int) -> int:
    library.bpf_map_create.argtypes = (
        *(ctypes.c_int, ctypes.c_char_p, *(ctypes.c_uint32,) * 3),
        ctypes.c_void_p,
    )
    descriptor = int(library.bpf_map_create(kind, b"counted", 8, 1, most, None))
    assert descriptor >= 0
    return descriptor


@pytest.mark.parametrize("kind", [LRU_HASH, HASH])
@pytest.mark.parametrize("entries", [0, 1, 1023, 1024, 1025, 5000])
def test_entries_are_counted(real_kernel: None, kind: int, entries: int) -> None:
    library = libbpf.load()
    descriptor = make_map(library, kind, 16384)
    try:
        counted = libbpf.Map(library, descriptor, 8, 1)
        for number in range(entries):
            assert counted.set(number.to_bytes(8, "little"), b"\1")
        assert counted.count(16384) == entries
        assert counted.count(1000) == min(entries, 1000)
    finally:
        os.close(descriptor)


def test_counting_what_is_no_map(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file, pytest.raises(OSError, match="does not let a map be read"):
        libbpf.Map(libbpf.load(), file.fileno(), 8, 1).count(10)


def test_the_captures_maps_are_counted(observer: Observer, tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{number}" / "a.py") for number in range(50)]
    observer.capture.map_fill.turn(time.monotonic())
    before = observer.capture.map_fill.read()["seen"]
    observer.run(f"for path in {paths!r}:\n    make(path)\n    touch(path)")
    observer.capture.map_fill.turn(time.monotonic() + 61)
    after = observer.capture.map_fill.read()
    assert before.entries is not None and after["seen"].entries is not None
    assert 50 <= after["seen"].entries - before.entries < 5000
    assert (after["seen"].maximum, after["losses"].maximum, after["ignored"].maximum) == (65536, 4096, 1024)
