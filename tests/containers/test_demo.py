"""`make demo` as a newcomer meets it. Uses no ground of its own: the demo wants it for itself."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.clock import PATIENCE
from tests.ground import Ground
from tests.ground.ground import PROJECT, STATE
from tests.ground.mounts import mounts_below

pytestmark = pytest.mark.containers

COMMAND = [sys.executable, "-m", "tests.demo"]
LAST_LINE = re.compile(r"demo: (\d+) packages in 2 containers, (\d+) events, 0 lost")


def demo() -> subprocess.CompletedProcess[str]:
    return subprocess.run(COMMAND, cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False)


def test_demo_shows_the_truth_and_ends_with_its_sum() -> None:
    first = demo()
    assert first.returncode == 0, first.stdout + first.stderr
    begun = time.monotonic()
    second = demo()
    took = time.monotonic() - begun
    assert second.returncode == 0, second.stdout + second.stderr
    assert took < 40
    assert re.search(
        r"^demo: the receiver shows them on http://127\.0\.0\.1:\d+/$", second.stdout, re.MULTILINE
    )
    match = LAST_LINE.fullmatch(second.stdout.splitlines()[-1])
    assert match, second.stdout
    assert int(match[1]) > 90
    assert int(match[2]) >= int(match[1])
    assert second.stdout.count("matches the interpreter's own truth") == 2
    assert mounts_below(STATE) == []
    print(f"second run in {took:.1f} s; {match[0]}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "moment", ["starting the receiver and the sensor", "starting the containers", "the applications answer"]
)
def test_demo_cleans_up_when_it_is_interrupted(number: signal.Signals, moment: str) -> None:
    with subprocess.Popen(
        COMMAND, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if moment in line:
                running.send_signal(number)
                break
        rest = running.stderr.read()
        assert running.wait(timeout=PATIENCE) == 128 + number, rest
    assert "Traceback" not in rest
    assert mounts_below(STATE) == []
    assert list((STATE / "containers").iterdir()) == []
    assert _sensors() == []


def _sensors() -> list[str]:
    """Command lines of sensors and receivers that still run and are the demo's."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"{PROJECT}/.venv/bin/runtime-sensor node --output jsonl --debounce 0.5" in command or (
            "sensor.cli receiver" in command
        ):
            found.append(command)
    return found


def test_demo_is_refused_while_the_ground_is_in_use() -> None:
    with Ground():
        refused = demo()
    assert refused.returncode == 1
    assert "in use by process" in refused.stderr
    assert "Traceback" not in refused.stderr
