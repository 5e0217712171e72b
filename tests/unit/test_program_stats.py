"""When the kernel's statistics count, and what is read of kernels that tell less."""

from __future__ import annotations

import ctypes
import errno
import re
import subprocess
import time
from pathlib import Path
from typing import Any, cast

import pytest

from sensor.node.capture.libbpf import Map
from sensor.node.capture.map_fill import COUNT_EVERY, Fill, MapFill
from sensor.node.capture.program_stats import LOOK_EVERY, ProgramInfo, ProgramStatistics, figures

BEFORE_MISSES = ProgramInfo.recursion_misses.offset  # 5.8 to 5.11
BEFORE_VERIFIED = ProgramInfo.verified_insns.offset  # to 5.15
AHEAD = time.monotonic() + 1000


@pytest.fixture
def sysctl(tmp_path: Path) -> Path:
    path = tmp_path / "bpf_stats_enabled"
    path.write_text("0\n")
    return path


@pytest.fixture
def statistics(sysctl: Path) -> ProgramStatistics:
    return ProgramStatistics(ctypes.CDLL(None), {}, sysctl=sysctl)


def turn(statistics: ProgramStatistics, start: int, end: int) -> None:
    """A call a second, of a clock that is ahead of the real one."""
    for second in range(start, end):
        statistics.turn(AHEAD + second)


def told(statistics: ProgramStatistics) -> tuple[bool, float]:
    return statistics.is_on, statistics.seconds


def test_the_time_is_counted_while_the_kernel_counts(statistics: ProgramStatistics, sysctl: Path) -> None:
    turn(statistics, 0, 50)
    assert told(statistics) == (False, 0.0)
    sysctl.write_text("1\n")
    turn(statistics, 50, 151)
    is_on, seconds = told(statistics)
    assert is_on
    assert seconds == pytest.approx(100, abs=LOOK_EVERY)
    sysctl.write_text("0\n")
    turn(statistics, 151, 300)
    assert told(statistics) == (False, seconds)


def test_a_sysctl_that_cannot_be_read_is_off(statistics: ProgramStatistics, sysctl: Path) -> None:
    sysctl.unlink()
    turn(statistics, 0, 30)
    assert told(statistics) == (False, 0.0)


def full() -> ProgramInfo:
    return ProgramInfo(
        run_time_ns=2_500_000_000, run_cnt=5, recursion_misses=3, verified_insns=1234, jited_prog_len=99
    )


def test_all_that_a_new_kernel_tells() -> None:
    found = figures(full(), ctypes.sizeof(ProgramInfo))
    assert (found.run_seconds, found.runs, found.misses) == (2.5, 5, 3)
    assert (found.verified_instructions, found.jited_bytes) == (1234, 99)


@pytest.mark.parametrize(
    ("size", "misses", "verified"), [(BEFORE_MISSES, None, None), (BEFORE_VERIFIED, 3, None)]
)
def test_what_an_older_kernel_does_not_tell_is_not_zero(size: int, misses: Any, verified: Any) -> None:
    found = figures(full(), size)
    assert (found.runs, found.misses, found.verified_instructions) == (5, misses, verified)


def test_the_layout_is_that_of_the_kernels_header(tmp_path: Path) -> None:
    fields = [name for name, _ in ProgramInfo._fields_ if name not in ("gpl_compatible", "padding")]
    prints = "".join(f'printf("{name} %zu\\n", offsetof(struct bpf_prog_info, {name}));\n' for name in fields)
    source, program = tmp_path / "info.c", tmp_path / "info"
    source.write_text(
        "#include <stdio.h>\n#include <stddef.h>\n#include <linux/bpf.h>\n"
        f"int main(void) {{ {prints} return 0; }}\n"
    )
    subprocess.run(["gcc", "-o", program, source], check=True)
    told = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    offsets = {name: int(offset) for name, offset in re.findall(r"(\w+) (\d+)", told)}
    assert offsets == {name: getattr(ProgramInfo, name).offset for name in fields}


class Counted:
    def __init__(self) -> None:
        self.entries = 0
        self.counts = 0
        self.error: OSError | None = None

    def count(self, limit: int) -> int:
        self.counts += 1
        if self.error:
            raise self.error
        return min(self.entries, limit)


def filling(one: Counted) -> MapFill:
    return MapFill({"seen": (cast("Map", one), 100)})


def test_maps_are_counted_at_once_and_then_once_a_minute() -> None:
    one = Counted()
    fill = filling(one)
    assert (fill.read(), fill.age) == ({"seen": Fill(None, 100)}, 0.0)
    one.entries = 40
    now = time.monotonic()
    for second in range(180):
        fill.turn(now + second)
    assert one.counts == 3
    assert fill.read() == {"seen": Fill(40, 100)}


def test_the_age_is_that_of_the_count() -> None:
    fill = filling(Counted())
    fill.turn(time.monotonic() - 30)
    assert 30 <= fill.age < 30 + COUNT_EVERY / 2


def test_a_count_that_fails_is_not_tried_each_second() -> None:
    one = Counted()
    one.error = OSError(errno.EPERM, "no")
    fill, now = filling(one), time.monotonic()
    with pytest.raises(OSError, match="no"):
        fill.turn(now)
    fill.turn(now + 1)
    assert one.counts == 1
    assert fill.read() == {"seen": Fill(None, 100)}
