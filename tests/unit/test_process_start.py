"""The start of a process out of lines as the kernel writes them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sensor.node.process_start import TICK_NS, is_same_start, start_ticks

FIELDS = "1 1 1 0 -1 4194560 100 0 0 0 0 0 0 0 20 0 1 0 4321 0 0"


def stat(name: str = "sh", state: str = "S", fields: str = FIELDS) -> bytes:
    return f"77 ({name}) {state} {fields}\n".encode()


@pytest.mark.parametrize("name", ["sh", "a b", ") S 1 1", "x)) (y", ""])
def test_the_name_may_hold_anything(name: str) -> None:
    assert start_ticks(stat(name)) == 4321


@pytest.mark.parametrize("state", ["Z", "X", "x"])
def test_the_dead_have_no_start(state: str) -> None:
    assert start_ticks(stat(state=state)) is None


@pytest.mark.parametrize("content", [b"", b"77", b"77 (sh) S 1 1", stat(fields=FIELDS.replace("4321", "-1"))])
def test_no_such_file(content: bytes) -> None:
    assert start_ticks(content) is None


def test_both_clocks_name_the_same_process() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        ticks = start_ticks(Path(f"/proc/{child.pid}/stat").read_bytes())
        child.kill()
    own = start_ticks(Path(f"/proc/{os.getpid()}/stat").read_bytes())
    assert ticks is not None and own is not None
    assert own < ticks
    for nanoseconds in (0, 1, TICK_NS - 1):
        assert is_same_start(ticks, ticks * TICK_NS + nanoseconds)
    assert not is_same_start(ticks, (ticks + 2) * TICK_NS)
    assert not is_same_start(ticks, (ticks - 2) * TICK_NS)
