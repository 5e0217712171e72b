"""What the loader child answers, and how it can fail to: real children, each with a script of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sensor.node.capture import handover
from sensor.node.capture.errors import CaptureError
from sensor.node.capture.handover import Loaded, LoadRequest
from tests.clock import in_time

REQUEST = LoadRequest("/bpf", 1, 2, 3, False, 1 << 20, "memory")
PREAMBLE = """#!/usr/bin/python3 -IS
import json, os, socket, sys, time
assert sys.argv[-3:-1] == ["-m", "sensor.node.capture.loader"]
connection = socket.socket(fileno=int(sys.argv[-1]))
request = json.loads(connection.recv(65536))
def answer(count, **fields):
    sent = []
    for number in range(count):
        sent.append(os.memfd_create("d"))
        os.write(sent[-1], b"%d" % number)
    socket.send_fds(connection, [json.dumps(fields).encode()], sent)
"""
Load = Callable[..., Loaded]


def children() -> set[str]:
    """Ours, zombies included; other tests of the same run may have some."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load by an interpreter that runs our script, whatever module it is told to run."""
    program = tmp_path / "python"

    def load(script: str, timeout: float = 20.0) -> Loaded:
        program.write_text(PREAMBLE + script)
        program.chmod(0o700)
        monkeypatch.setattr("sys.executable", str(program))
        return handover.load(REQUEST, timeout)

    return load


def open_descriptors() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


def test_the_descriptors_are_taken_over_in_their_order(load: Load) -> None:
    before = open_descriptors()
    loaded = load("answer(10, ok=True, hook='kprobe', refusals={'fentry': 'no'}, descriptors=10)")
    maps = (loaded.events, loaded.seen, loaded.losses, loaded.ignored, loaded.counters, loaded.epoch)
    taken = (*maps, *loaded.programs, *loaded.links)
    assert [os.pread(descriptor, 9, 0) for descriptor in taken] == [b"%d" % number for number in range(10)]
    assert (loaded.hook, loaded.refusals) == ("kprobe", {"fentry": "no"})
    loaded.close()
    assert open_descriptors() == before


def test_the_request_reaches_the_loader_whole(load: Load) -> None:
    with pytest.raises(CaptureError) as raised:
        load("answer(0, ok=False, stage='x', error=repr(sorted(request.items())), cure='z')")
    fields = [(name, getattr(REQUEST, name)) for name in sorted(LoadRequest.__slots__)]
    assert repr(fields) in str(raised.value)


def test_too_few_descriptors_are_an_error_and_none_stays_open(load: Load) -> None:
    before = open_descriptors()
    with pytest.raises(CaptureError, match=r"3 of 7 descriptors arrived\n.*ulimit -n"):
        load("answer(3, ok=True, hook='x', descriptors=7)")
    assert open_descriptors() == before


def test_a_failure_of_the_loader_is_told_with_its_last_lines(load: Load) -> None:
    with pytest.raises(CaptureError) as raised:
        load(
            "for n in range(40): print('line', n, end='\\n\\n')\n"
            "sys.stdout.flush()\n"
            "answer(0, ok=False, stage='verify', error='refused', cure='grant CAP_BPF')"
        )
    assert str(raised.value).startswith("capture cannot start, stage verify: refused\n  | line 25\n")
    assert str(raised.value).endswith("\n  | line 39\n  what to do: grant CAP_BPF")
    assert len(raised.value.log) == 15


def test_of_a_long_log_only_the_end_is_read() -> None:
    with tempfile.TemporaryFile() as log:
        log.write(b"\xff" * 200_000 + b"\nlast\n")
        *_, cut, last = handover._last_lines(log)
    assert last == "last"
    assert len(cut) < 65536


@pytest.mark.parametrize(
    ("script", "how", "cure"),
    [
        (
            "sys.exit('no bcc here')",
            r"exit status 1",
            r"\n  \| no bcc here\n  what to do: see the lines above",
        ),
        ("os.kill(os.getpid(), 9)", r"signal 9", r"\n  what to do: out of memory\?"),
        ("os.kill(os.getpid(), 15)", r"signal 15", r"\n  what to do: see the lines above"),
    ],
)
def test_a_loader_that_dies_is_told_by_how(load: Load, script: str, how: str, cure: str) -> None:
    with pytest.raises(CaptureError, match=rf"ended without an answer \({how}\){cure}"):
        load(script)


def test_a_loader_that_hangs_is_given_up_and_nothing_stays_behind(load: Load) -> None:
    before = open_descriptors(), children()
    with in_time(), pytest.raises(CaptureError, match="did not finish within 0 s"):
        load("time.sleep(60)", timeout=0.3)
    assert (open_descriptors(), children()) == before
