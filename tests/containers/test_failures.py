"""Killed, starved, cut off: a clear error, and the next start works."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.clock import HANGS, PATIENCE
from tests.containers.packages import PYTHON, Distribution, environment, image
from tests.ground import Container, Ground, Sensor
from tests.ground.ground import STATE
from tests.ground.mounts import unmount
from tests.ground.problem import run

pytestmark = pytest.mark.containers

ONE = Distribution("steady", "2.0", modules=2)


def loading(ground: Ground) -> Container:
    """A container that loads ONE, then stays."""
    program = f"import {ONE.name}, time; time.sleep(600)"
    of = image(ground, "steady", [ONE])
    return ground.container(of, [*PYTHON, program], name="steady", env=environment())


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def works(ground: Ground) -> None:
    """A sensor started now reports."""
    with Sensor() as sensor, loading(ground) as container:
        sensor.wait_for_packages(container.id, {ONE.purl})


def test_next_start_works_after_the_agent_was_killed(ground: Ground) -> None:
    with Sensor() as killed, loading(ground) as container:
        killed.wait_for_packages(container.id, {ONE.purl})
        assert killed.stop(signal.SIGKILL) == -signal.SIGKILL
        works(ground)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_agent_cleanly_within_5_seconds(ground: Ground, number: signal.Signals) -> None:
    with Sensor() as sensor, loading(ground) as container:
        sensor.wait_for_packages(container.id, {ONE.purl})
        assert sensor.stop(number, timeout=5) == 0
        assert "Traceback" not in sensor.log()


def test_killed_loader_gives_a_clear_error(ground: Ground) -> None:
    sensor = Sensor()
    try:
        sensor.start()
        _kill_first_child(sensor.process.pid)
        status = sensor.process.wait(timeout=HANGS)
        log = sensor.log()
    finally:
        sensor.close()
    assert status not in (0, -signal.SIGKILL)
    assert "loader" in log
    assert "Traceback" not in log
    works(ground)


def _kill_first_child(pid: int, timeout: float = PATIENCE) -> None:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if found := children(pid):
            os.kill(found[0], signal.SIGKILL)
            return
        time.sleep(0.001)
    pytest.fail("the agent never started a loader child")


@pytest.fixture
def small_disk() -> Iterator[Path]:
    disk = STATE / "small-disk"
    disk.mkdir(exist_ok=True)
    run(["mount", "-t", "tmpfs", "-o", "size=64k", "ground", str(disk)])
    yield disk
    unmount(disk)
    disk.rmdir()


def test_full_disk_is_told_and_nothing_is_lost(ground: Ground, small_disk: Path) -> None:
    output, filler = small_disk / "output.jsonl", small_disk / "filler"
    sensor = Sensor()
    try:
        with output.open("wb") as file:
            sensor.start(stdout=file.fileno())
        sensor.wait_ready()
        _fill(filler)
        with loading(ground) as container:
            _await(lambda: "No space left on device" in sensor.log(), "the error")
            assert sensor.process.poll() is None
            filler.unlink()
            _await(lambda: container.id in output.read_text(), "the state that could not be written")
        assert sensor.stop() == 0
        assert "Traceback" not in sensor.log()
    finally:
        sensor.close()
    works(ground)


def _fill(file: Path) -> None:
    """Writes until the disk takes no more."""
    with file.open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))


def _await(met: Callable[[], bool], what: str, timeout: float = PATIENCE) -> None:
    deadline = time.monotonic() + timeout
    while not met():
        assert time.monotonic() < deadline, f"{what} did not come within {timeout:.0f} s"
        time.sleep(0.05)
