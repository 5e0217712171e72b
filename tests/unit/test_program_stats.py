"""When the kernel's statistics are turned on, and what is read of kernels that tell less."""

from __future__ import annotations

import ctypes
import errno
import itertools
import logging
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from sensor.node.capture import program_stats
from sensor.node.capture.libbpf import Map
from sensor.node.capture.map_fill import COUNT_EVERY, Fill, MapFill
from sensor.node.capture.program_stats import ProgramInfo, ProgramStatistics, Source, figures

BEFORE_MISSES = ProgramInfo.recursion_misses.offset  # 5.8 to 5.11
BEFORE_VERIFIED = ProgramInfo.verified_insns.offset  # to 5.15
EVERY, FIRST = 300.0, 60.0


class Kernel:
    """In place of libbpf. A descriptor given away is a real one, so that closing it can be seen."""

    def __init__(self) -> None:
        self.error = 0
        self.given: list[int] = []

    def bpf_enable_stats(self, kind: int) -> int:
        assert kind == 0
        if self.error:
            ctypes.set_errno(self.error)
            return -1
        self.given.append(os.open(os.devnull, os.O_RDONLY))
        return self.given[-1]

    @property
    def on(self) -> int:
        return sum(Path(f"/proc/self/fd/{descriptor}").exists() for descriptor in self.given)


class Node:
    def __init__(self, folder: Path) -> None:
        self.kernel = Kernel()
        self.sysctl = folder / "bpf_stats_enabled"
        self.sysctl.write_text("0\n")
        self.began = time.monotonic()
        self.statistics = ProgramStatistics(
            cast("ctypes.CDLL", self.kernel), {}, sysctl=self.sysctl, first_after=FIRST, every=EVERY
        )

    def until(self, end: float, start: float = 0.0) -> None:
        """A call a second from ``start`` to ``end``, in seconds since the beginning."""
        for second in range(int(start), int(end)):
            self.statistics.turn(self.began + second)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    yield node
    node.statistics.close()


def test_statistics_are_on_for_one_second_of_every_five_minutes(node: Node) -> None:
    states = []
    for second in range(1000):
        node.statistics.turn(node.began + second)
        states.append(node.kernel.on)
    on = [second for second, state in enumerate(states) if state]
    assert len(on) == 4 and on[0] in (60, 61)
    assert {later - earlier for earlier, later in itertools.pairwise(on)} == {300}
    assert node.statistics.source is Source.SAMPLED
    assert node.statistics.seconds == pytest.approx(4.0, abs=0.1)


def test_before_the_first_sample_nothing_is_said(node: Node) -> None:
    node.until(FIRST - 1)
    assert (node.statistics.source, node.statistics.seconds) == (Source.UNKNOWN, 0.0)


def test_a_sample_ends_with_the_sensor(node: Node) -> None:
    node.statistics.turn(node.began + FIRST + 1)
    assert node.kernel.on == 1
    node.statistics.close()
    assert node.kernel.on == 0


def test_what_is_on_already_is_left_alone_and_counted(node: Node) -> None:
    node.sysctl.write_text("1\n")
    node.until(500)
    assert node.kernel.given == []
    assert node.statistics.source is Source.SYSCTL
    assert node.statistics.seconds == pytest.approx(490, abs=11)


def test_only_the_time_since_it_was_turned_on_counts(node: Node) -> None:
    node.until(50)
    node.sysctl.write_text("1\n")
    node.until(150, 50)
    assert node.statistics.seconds == pytest.approx(90, abs=5)


def test_turned_off_again_it_is_sampled(node: Node) -> None:
    node.sysctl.write_text("1\n")
    node.until(100)
    node.sysctl.write_text("0\n")
    node.until(112, 100)
    assert len(node.kernel.given) == 1
    assert node.statistics.source is Source.SAMPLED


def test_a_sysctl_that_cannot_be_read_is_no_hindrance(node: Node) -> None:
    node.sysctl.unlink()
    node.until(FIRST + 3)
    assert node.statistics.source is Source.SAMPLED


def test_a_refusal_is_said_once_and_tried_again(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    node.kernel.error = errno.EPERM
    with caplog.at_level(logging.INFO, program_stats.__name__):
        node.until(1000)
    assert (node.statistics.source, node.statistics.seconds) == (Source.REFUSED, 0.0)
    (said,) = caplog.messages
    assert "EPERM" in said and "kernel.bpf_stats_enabled=1" in said
    node.kernel.error = 0
    node.until(1400, 1000)
    assert node.statistics.source is Source.SAMPLED


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
