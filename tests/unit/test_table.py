"""The table, on a pipe and on a real pseudo terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import termios
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sensor.delivery.sink import SinkError
from sensor.delivery.table import TableSink, age, printable
from sensor.model.container import ContainerIdentity, ContainerMetadata
from sensor.model.package import Evidence
from sensor.model.report import ContainerReport, Coverage
from tests.unit.reports import report, use


def written(
    tmp_path: Path, *batches: list[ContainerReport], environment: Mapping[str, str] | None = None
) -> str:
    with (tmp_path / "out").open("w+b") as file:
        sink = TableSink(file.fileno(), environment or {})
        for batch in batches:
            sink.deliver(batch)
        sink.close()
    return (tmp_path / "out").read_text()


def on_terminal(columns: int, environment: Mapping[str, str], act: Callable[[TableSink], None]) -> str:
    master, slave = pty.openpty()
    try:
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
        act(TableSink(slave, environment))
        return os.read(master, 65536).decode().replace("\r\n", "\n")
    finally:
        os.close(master)
        os.close(slave)


def test_a_block_and_the_summary(tmp_path: Path) -> None:
    text = written(
        tmp_path, [report(use("flask", "3.0.0"), use("requests", evidence=Evidence.MAPPED, path="/r.py"))]
    )
    assert text == (
        "default/web-5d9c/web · docker.io/library/shop:1 · containerd · 2 packages · complete\n"
        "  ECOSYSTEM  PACKAGE   VERSION  EVIDENCE  SEEN  PATH\n"
        "  pypi       flask     3.0.0    opened    1min  /usr/lib/python3/site-packages/flask/__init__.py\n"
        "  pypi       requests  2.31.0   mapped    1min  /r.py\n"
        "\n"
        "2 packages in 1 container\n"
    )


def test_a_later_block_lists_what_is_new_or_better_proven(tmp_path: Path) -> None:
    text = written(
        tmp_path,
        [report(use("a"), use("b"))],
        [report(use("a", evidence=Evidence.MAPPED), use("b"), use("c"))],
        [report(use("a", evidence=Evidence.MAPPED), use("b"), use("c"), deployed=False)],
    )
    blocks = text.split("\n\n")
    rows = [re.findall(r"^  pypi +(\w+) .* (mapped|opened)", block, re.MULTILINE) for block in blocks]
    assert rows == [[("a", "opened"), ("b", "opened")], [("a", "mapped"), ("c", "opened")], [], []]
    assert blocks[2].endswith("3 packages · complete · ended")
    assert blocks[3] == "3 packages in 1 container\n"


def test_partial_coverage_names_its_reasons_and_an_unnamed_container_its_short_id(tmp_path: Path) -> None:
    odd = report(
        container=ContainerIdentity("0123456789abcdef", "runc"),
        metadata=ContainerMetadata(),
        coverage=Coverage.PARTIAL,
        coverage_reasons=("malformed", "ring_full"),
    )
    assert written(tmp_path, [odd]).startswith(
        "0123456789ab · runc · 0 packages · partial: malformed, ring_full\n\n"
    )


def test_names_from_a_container_cannot_reach_the_terminal(tmp_path: Path) -> None:
    hostile = "x\x1b]0;owned\x07\r\n\u202egpj\udce9"
    text = written(
        tmp_path,
        [report(use(hostile, hostile, path="/" + hostile), metadata=ContainerMetadata(name=hostile))],
    )
    assert r"x\x1b]0;owned\x07\r\n\u202egpj\udce9" in text
    assert re.sub(r"[ -~…·\n]", "", text) == ""


def test_a_container_without_version_and_a_deep_path(tmp_path: Path) -> None:
    text = written(tmp_path, [report(use("a", None, path="/deep" * 60 + "/end.py"))])
    row = text.splitlines()[2]
    assert re.match(r"  pypi +a +\? +opened +1min  …", row)
    assert row.endswith("/deep/end.py")
    assert len(row) == 120


@pytest.mark.parametrize("columns", [80, 200])
def test_rows_fit_the_terminal(columns: int) -> None:
    wide = report(use("n" * 100, path="/deep" * 60))
    text = on_terminal(columns, {"NO_COLOR": "1"}, lambda sink: sink.deliver([wide]))
    lines = text.splitlines()
    assert "n…" in lines[2]
    assert len(lines[2]) == max(columns, 5 * 2 + 2 + 9 + 40 + 7 + 8 + 4 + 20)


def test_columns_says_how_wide_a_pipe_is(tmp_path: Path) -> None:
    text = written(tmp_path, [report(use("a", path="/deep" * 60))], environment={"COLUMNS": "90"})
    assert len(text.splitlines()[2]) == 90


def test_colour_is_for_terminals_that_want_it(tmp_path: Path) -> None:
    partial = report(coverage=Coverage.PARTIAL, coverage_reasons=("x",))
    assert "\x1b[33mpartial: x\x1b[0m" in on_terminal(80, {}, lambda sink: sink.deliver([partial]))
    assert "\x1b" in on_terminal(80, {"NO_COLOR": ""}, lambda sink: sink.deliver([partial]))
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in on_terminal(80, environment, lambda sink: sink.deliver([partial]))
    assert "\x1b" not in written(tmp_path, [partial])


def test_what_was_not_written_is_listed_again() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    try:
        filled = 0
        while True:
            try:
                filled += os.write(write, b" " * 4096)
            except BlockingIOError:
                break
        sink = TableSink(write, {})
        with pytest.raises(SinkError):
            sink.deliver([report(use("again"))])
        os.read(read, filled)
        sink.deliver([report(use("again"))])
        assert b"again" in os.read(read, 65536)
    finally:
        os.close(read)
        os.close(write)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (0.9, "0s"), (59, "59s"), (60, "1min"), (3599, "59min"), (3600, "1h"), (200_000, "2d")],
)
def test_ages(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_printable_leaves_text_alone() -> None:
    assert printable("naïve 漢字 ✓") == "naïve 漢字 ✓"
