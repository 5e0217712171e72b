"""What the events did not tell: a full ring, and containers older than the sensor."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.containers.packages import PYTHON, Distribution, environment, image
from tests.demo.applications import node_application, python_application
from tests.ground import Container, Ground, Image, Sensor
from tests.ground.sensor import purls

pytestmark = pytest.mark.containers

MANY = [Distribution(f"lost{number}", "1.0", modules=20, singles=20) for number in range(200)]
PROGRAM = """
import importlib, os, time
for name in open('/app/modules').read().split(): importlib.import_module(name)
print('done', flush=True)
time.sleep(float(os.environ['STAY']))
"""


def many(ground: Ground) -> Image:
    modules = "\n".join(module for each in MANY for module in each.imports())
    return image(ground, "lost", MANY, lambda layer: write(layer / "app/modules", modules), recipe="modules")


def write(file: Path, text: str) -> None:
    file.write_text(text)


def imported(container: Container) -> bool:
    return "done" in container.output()


def test_what_a_full_ring_lost_is_found_in_the_process(ground: Ground) -> None:
    """8,000 events for a ring of about 4,000, while the agent is stopped and cannot read."""
    of, env = many(ground), {**environment(), "STAY": "600"}
    with Sensor("--ring-size", "1") as sensor:
        os.kill(sensor.process.pid, signal.SIGSTOP)
        with ground.container(of, [*PYTHON, PROGRAM], name="lost", env=env) as container:
            wait(lambda: imported(container))
            os.kill(sensor.process.pid, signal.SIGCONT)
            expected = {each.purl for each in MANY}
            # It is partial for a moment; whether that is told depends on how soon it is made up for.
            whole = sensor.wait_for(
                container.id, lambda report: report["coverage"] == "complete" and purls(report) == expected
            )
            assert sensor.events(["ring_full"]) > 0
            assert sensor.metrics()["runtime_sensor_loss_rescans_total", ""] > 0
            print(
                f"{sensor.lost()} events lost, {len(whole['packages'])} of {len(expected)} packages reported"
            )
        assert "the ring was full" in sensor.log()


def test_who_lost_events_and_ended_leaves_the_container_partial(ground: Ground) -> None:
    """Nobody can tell any more what it loaded, and the report says so for good."""
    of, env = many(ground), {**environment(), "STAY": "0", "PROGRAM": PROGRAM}
    command = ["/bin/sh", "-c", '/usr/bin/python3 -S -c "$PROGRAM"; echo over; exec sleep 600']
    with Sensor("--ring-size", "1") as sensor:
        os.kill(sensor.process.pid, signal.SIGSTOP)
        with ground.container(of, command, name="gone", env=env) as container:
            wait(lambda: "over" in container.output())
            os.kill(sensor.process.pid, signal.SIGCONT)
            sensor.wait_for(container.id, lambda report: "events_lost" in report["coverage_reasons"])
            sensor.settle(3)
            assert sensor.latest[container.id]["coverage_reasons"] == ["events_lost"]


def test_a_python_application_older_than_the_sensor_is_reported_whole(ground: Ground) -> None:
    with python_application(ground).run(ground) as running:
        running.wait_answering()
        running.use()
        with Sensor() as sensor:
            report = sensor.wait_for_packages(running.container.id, running.truth())
            sensor.wait_for(running.container.id, lambda report: report["coverage"] == "complete")
    assert report["container"]["name"] is not None


def test_a_node_application_older_than_the_sensor_says_that_it_is_partial(ground: Ground) -> None:
    with node_application(ground).run(ground) as running:
        running.wait_answering()
        with Sensor() as sensor:
            report = sensor.wait_for(running.container.id, lambda report: report["coverage"] == "partial")
            sensor.settle(3)
            report = sensor.latest[running.container.id]
        assert report["coverage_reasons"] == ["started_before_sensor"]
        assert purls(report) <= running.truth()


def test_the_host_is_reported_when_asked_for(tmp_path: Path) -> None:
    """Its own packages, beside those of its containers; never without being asked."""
    distribution = Distribution("hosted", "3.1")
    distribution.write(tmp_path / "site-packages")
    command = ["/usr/bin/python3", "-S", "-c", "import hosted"]
    with Sensor("--include-host") as sensor:
        subprocess.run(command, env={"PYTHONPATH": str(tmp_path / "site-packages")}, check=True)
        report = sensor.wait_for("host", lambda report: distribution.purl in purls(report))
    assert report["container"] == {"id": "host", "name": None, "runtime": "host"}
    with Sensor() as sensor:
        subprocess.run(command, env={"PYTHONPATH": str(tmp_path / "site-packages")}, check=True)
        sensor.settle(2)
        assert "host" not in sensor.latest


def wait(condition: Callable[[], bool], timeout: float = 60) -> None:
    """Until ``condition()`` holds."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)
