"""Lines to real descriptors: files, pipes, full disks, readers that stop or leave."""

from __future__ import annotations

import errno
import json
import os
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor.delivery.descriptor import DescriptorWriter
from sensor.delivery.jsonl import JsonLinesSink
from sensor.delivery.sink import SinkClosed, SinkError
from sensor.delivery.table import TableSink
from tests.clock import in_time
from tests.unit.reports import report, use

BIG = report(*(use(f"package-{number}") for number in range(500)))


@pytest.fixture
def pipe() -> Iterator[list[int]]:
    ends = list(os.pipe())
    yield ends
    for end in ends:
        if end >= 0:
            os.close(end)


@pytest.fixture
def small_files() -> Iterator[int]:
    """Files of this process may grow to 10,000 bytes: a write across it is cut, the next fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    yield 10_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def grow_limit() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 24, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def read_all(fd: int, into: list[bytes]) -> None:
    while data := os.read(fd, 65536):
        into.append(data)


def test_a_line_per_report_in_plain_ascii(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        sink = JsonLinesSink(file.fileno())
        sink.deliver([report(use("ünï\ncode\x1b[2J")), report()])
        sink.deliver([])
        sink.close()
    data = (tmp_path / "out").read_bytes()
    assert data.isascii()
    first, second = data.splitlines()
    assert json.loads(first)["packages"][0]["name"] == "ünï\ncode\x1b[2J"
    assert json.loads(second)["packages"] == []


def test_a_full_disk_is_an_error_that_says_what_to_do() -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(SinkError, match=r"No space left on device; free some space") as caught:
            JsonLinesSink(fd).deliver([report()])
        assert not isinstance(caught.value, SinkClosed)
        assert caught.value.delivered == 0
    finally:
        os.close(fd)


def test_a_line_cut_by_a_full_file_is_completed_before_the_next(tmp_path: Path, small_files: int) -> None:
    with (tmp_path / "out").open("wb") as file:
        sink = JsonLinesSink(file.fileno())
        with pytest.raises(SinkError) as caught:
            sink.deliver([report(use("first")), BIG, report(use("third"))])
        assert caught.value.delivered == 1
        assert (tmp_path / "out").stat().st_size == small_files
        with pytest.raises(SinkError) as caught:  # still full: neither lost nor written double
            sink.deliver([report(use("fourth"))])
        assert caught.value.delivered == 0
        grow_limit()
        sink.deliver([report(use("fifth"))])
    lines = [json.loads(line) for line in (tmp_path / "out").read_bytes().splitlines()]
    assert [line["packages"][0]["name"] for line in lines] == ["first", "package-0", "fifth"]
    assert len(lines[1]["packages"]) == 500


def test_closing_completes_a_cut_line(tmp_path: Path, small_files: int) -> None:
    with (tmp_path / "out").open("wb") as file:
        sink = JsonLinesSink(file.fileno())
        with pytest.raises(SinkError):
            sink.deliver([BIG])
        with pytest.raises(SinkError):
            sink.close()
        grow_limit()
        sink.close()
    assert len(json.loads((tmp_path / "out").read_bytes())["packages"]) == 500


def test_a_line_of_which_nothing_was_written_is_dropped_for_the_next_state(
    tmp_path: Path, small_files: int
) -> None:
    with (tmp_path / "out").open("wb") as file:
        os.write(file.fileno(), b" " * small_files)
        sink = JsonLinesSink(file.fileno())
        with pytest.raises(SinkError):
            sink.deliver([report(use("old"))])
        grow_limit()
        sink.deliver([report(use("new"))])
    assert json.loads((tmp_path / "out").read_bytes())["packages"][0]["name"] == "new"


def test_a_reader_that_left_is_a_clean_end(pipe: list[int]) -> None:
    os.close(pipe[0])
    pipe[0] = -1
    with pytest.raises(SinkClosed):
        JsonLinesSink(pipe[1]).deliver([report()])


@pytest.mark.parametrize("blocking", [True, False])
def test_a_reader_that_stopped_holds_nobody_up(pipe: list[int], blocking: bool) -> None:
    os.set_blocking(pipe[1], blocking)
    writer = DescriptorWriter(pipe[1], patience=0.3)
    begun = time.monotonic()
    with in_time(), pytest.raises(SinkError, match=r"did not take 34464 bytes in 0.3 s"):
        writer.write("x" * 100_000)  # a pipe holds 65,536
    assert time.monotonic() - begun >= 0.3


@pytest.mark.parametrize("blocking", [True, False])
def test_a_slow_reader_gets_everything_once(pipe: list[int], blocking: bool) -> None:
    os.set_blocking(pipe[1], blocking)
    sink = JsonLinesSink(pipe[1])
    got: list[bytes] = []
    reader = threading.Timer(0.2, read_all, (pipe[0], got))
    reader.start()
    sink.deliver([BIG, BIG])
    os.close(pipe[1])
    pipe[1] = -1
    reader.join()
    assert [len(json.loads(line)["packages"]) for line in b"".join(got).splitlines()] == [500, 500]


def test_a_descriptor_that_is_not_open_is_told(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(SinkError, match=os.strerror(errno.EBADF)):
            TableSink(fd).deliver([report()])
    finally:
        os.close(fd)
