"""What this kernel says of programs and maps: held against what is known to have happened."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor.node.capture import libbpf, program_stats
from sensor.node.capture.program_stats import ProgramStatistics, Source
from tests.kernel.conftest import Observer

pytestmark = pytest.mark.kernel

OPENS = 1_000
LRU_HASH, HASH = 9, 1  # enum bpf_map_type
LONG_SECONDS = 1e-3  # a hundred times what a run takes here


@pytest.fixture
def statistics(observer: Observer) -> Iterator[ProgramStatistics]:
    """Sampling begins with the first turn."""
    made = ProgramStatistics(libbpf.load(), observer.capture.programs, sysctl=Path("/none"), first_after=0.0)
    yield made
    made.close()


def open_files(count: int) -> None:
    for _ in range(count):
        os.close(os.open("/etc/passwd", os.O_RDONLY))


def test_runs_and_time_are_counted_during_a_sample_only(statistics: ProgramStatistics) -> None:
    before = statistics.read()["open"]
    statistics.turn(time.monotonic())
    assert statistics.source is Source.SAMPLED
    open_files(OPENS)
    subprocess.run(["true"], check=True)
    during = statistics.read()
    statistics.turn(time.monotonic())  # the sample ends
    after = statistics.read()["open"]
    runs, seconds = after.runs - before.runs, after.run_seconds - before.run_seconds
    assert runs >= OPENS
    assert 0 < seconds / runs < LONG_SECONDS
    assert during["exec"].runs >= 1
    assert statistics.seconds > 0


def test_nothing_is_counted_outside_a_sample(statistics: ProgramStatistics) -> None:
    if Path(program_stats.SYSCTL).read_text().strip() != "0":
        pytest.fail("found kernel.bpf_stats_enabled on, expected 0: turn it off for the tests")
    before = statistics.read()["open"].runs
    open_files(OPENS)
    # Others may have theirs on for a moment: a sensor's sample in another test, a profiler.
    assert statistics.read()["open"].runs - before < OPENS


def test_the_programs_size_and_what_the_verifier_saw(statistics: ProgramStatistics) -> None:
    for figures in statistics.read().values():
        assert figures.jited_bytes > 1000
        assert figures.verified_instructions is None or figures.verified_instructions > 100
        assert figures.misses in (None, 0)


def test_a_process_without_the_capability_is_refused(observer: Observer) -> None:
    script = """
import ctypes, pathlib, sys, time
from sensor.node.capture import libbpf
from sensor.node.capture.program_stats import ProgramStatistics
programs = {"open": int(sys.argv[1])}
made = ProgramStatistics(libbpf.load(), programs, sysctl=pathlib.Path("/none"), first_after=0.0)
made.turn(time.monotonic() + 1)
print(made.source, made.read()["open"].verified_instructions)
"""
    program = observer.capture.programs["open"]
    done = subprocess.run(
        # CAP_BPF and CAP_PERFMON, what the agent runs with
        [
            *("setpriv", "--bounding-set", "-all,+bpf,+perfmon", "--inh-caps", "-all", "--no-new-privs"),
            *(sys.executable, "-c", script, str(program)),
        ],
        pass_fds=[program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.split()[0] == "refused"


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
