"""The sensor is killed and started again on the same state directory: what was known is still known."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest

from tests.clock import PATIENCE
from tests.containers.packages import PYTHON, Distribution, environment, image
from tests.ground import Ground, Sensor
from tests.ground.container import Container
from tests.ground.sensor import purls

pytestmark = pytest.mark.containers

STAYS = Distribution("stays", "1.0")  # loaded by a process that lives on
PASSED = Distribution("passed", "2.0")  # loaded by a process that is gone: no scan finds it
AWAY = Distribution("away", "3.0")  # loaded while no sensor runs
BOTH = {STAYS.purl, PASSED.purl}
WAITS = """
import os, time
import stays
while not os.path.exists('/tmp/more'):
    time.sleep(0.02)
import away
time.sleep(600)
"""


def killed(sensor: Sensor) -> None:
    """By what no program can prepare for, once what it said has been written down."""
    sensor.settle(1.0)
    sensor.process.send_signal(signal.SIGKILL)
    sensor.process.wait(PATIENCE)


def kept(folder: Path) -> Sensor:
    return Sensor("--state-dir", str(folder))


def started(ground: Ground, name: str, sensor: Sensor) -> Container:
    of = image(ground, "restart", [STAYS, PASSED, AWAY], further=lambda layer: (layer / "tmp").mkdir())
    container = ground.container(of, [*PYTHON, WAITS], name=name, env=environment())
    container.__enter__()
    container.exec(*PYTHON, "import passed", env=environment())
    sensor.wait_for_packages(container.id, BOTH)
    return container


def test_what_was_loaded_before_a_restart_is_still_reported(ground: Ground, tmp_path: Path) -> None:
    with kept(tmp_path) as first:
        container = started(ground, "restart-same", first)
        before = first.latest[container.id]
        killed(first)
    try:
        container.exec("/usr/bin/python3", "-S", "-c", "open('/tmp/more', 'w')")
        time.sleep(0.5)
        with kept(tmp_path) as second:
            report = second.wait_for_packages(container.id, BOTH | {AWAY.purl})
            assert re.search(r"restored \d+ containers of an earlier run", second.log())
        first_seen = {package["purl"]: package["first_seen"] for package in report["packages"]}
        assert report["first_seen"] == before["first_seen"]
        for package in before["packages"]:
            assert first_seen[package["purl"]] == package["first_seen"]
        assert first_seen[AWAY.purl] > max(package["last_seen"] for package in before["packages"])
    finally:
        container.remove()


def test_a_container_that_ended_meanwhile_is_reported_as_ended(ground: Ground, tmp_path: Path) -> None:
    with kept(tmp_path) as first:
        container = started(ground, "restart-ended", first)
        killed(first)
    container.remove()
    with kept(tmp_path) as second:
        report = second.wait_for(container.id, lambda report: not report["deployed"])
        assert purls(report) == BOTH
        assert report["ended_at"] is not None


def test_a_container_that_was_started_anew_has_forgotten(ground: Ground, tmp_path: Path) -> None:
    """`docker restart` keeps the id; so does a container of this ground that is made with the same one."""
    with kept(tmp_path) as first:
        container = started(ground, "restart-anew", first)
        killed(first)
    container.remove()
    container.start()
    try:
        with kept(tmp_path) as second:
            report = second.wait_for_packages(container.id, {STAYS.purl})
            assert report["deployed"]
            assert "1 started anew" in second.log()
    finally:
        container.remove()


def test_a_damaged_outbox_is_set_aside_and_what_runs_is_found_again(ground: Ground, tmp_path: Path) -> None:
    with kept(tmp_path) as first:
        container = started(ground, "restart-damaged", first)
        killed(first)
    try:
        for file in tmp_path.glob("outbox.db*"):
            file.write_bytes(b"no database at all" * 1000)
        with kept(tmp_path) as second:
            second.wait_for_packages(container.id, {STAYS.purl})
            assert "set aside" in second.log()
        assert len(list(tmp_path.glob("*"))) > 1
    finally:
        container.remove()
