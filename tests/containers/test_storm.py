"""20 containers import 50,000 distinct files within 10 s: all reported, loss counted, memory given back.

Once spread over the 10 s, where nothing may be lost; once as fast as the machine can, where what is lost
must be counted, and found again.
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.containers.packages import PYTHON, Distribution, environment, image
from tests.ground import Container, Ground, Sensor

pytestmark = pytest.mark.containers

CONTAINERS = 20
DISTRIBUTIONS = 100
# All __init__ files are empty: such a folder may be a namespace of several distributions, so no file of it
# speaks for the others and every one of the 50,000 is an event. Real packages make far fewer.
MODULES, SINGLES = 24, 1
FILES = 50_000
WITHIN = 10.0
MEMORY = 1.10
AGENT_KIB = 64 << 10
SECONDS_HELD = 60  # roots of ended containers, and their states
SPREAD = 8.5
PROGRAM = """
import importlib, json, os, time
names = open('/app/modules').read().split()
pause = float(os.environ['SECONDS']) / len(names)
while not os.path.exists('/app/begin'): time.sleep(0.005)
begun = time.time()
for done, name in enumerate(names):
    ahead = begun + pause * done - time.time()
    if ahead > 0.01: time.sleep(ahead)
    importlib.import_module(name)
print(json.dumps([begun, time.time(), len(names)]), flush=True)
time.sleep(600)
"""


@dataclass(frozen=True, slots=True)
class Storm:
    """What happened; every package was reported. Memory is the agent's, in KiB."""

    files: int
    seconds: float
    events: int
    lost: int
    before: int
    during: int

    def __str__(self) -> str:
        return (
            f"{self.files} files in {self.seconds:.1f} s, {self.events} events, {self.lost} lost, "
            f"agent {self.before} KiB before, {self.during} KiB during"
        )


def distributions(container: int) -> list[Distribution]:
    return [
        Distribution(f"storm{container}x{number}", f"{container}.{number}", MODULES, SINGLES)
        for number in range(DISTRIBUTIONS)
    ]


def storm_container(ground: Ground, number: int, seconds: float) -> Container:
    mine = distributions(number)
    modules = "\n".join(module for each in mine for module in each.imports())
    of = image(ground, f"storm-{number}", mine, lambda layer: _write(layer / "app/modules", modules))
    env = {**environment(), "SECONDS": str(seconds)}
    return ground.container(of, [*PYTHON, PROGRAM], name=f"storm-{number}", env=env)


def _write(file: Path, text: str) -> None:
    file.write_text(text)


def raise_storm(ground: Ground, sensor: Sensor, seconds: float) -> Storm:
    """Spread over ``seconds``; returns when all is reported, its containers removed."""
    events, lost = sensor.events(), sensor.lost()
    before = sensor.resident_kib()  # after the first scrape, whose memory is not the storm's
    with ExitStack() as stack:
        containers = [storm_container(ground, number, seconds) for number in range(CONTAINERS)]
        for container in containers:
            stack.enter_context(container)
        for container in containers:
            (container.root / "app" / "begin").touch()
        spans = [_span(container) for container in containers]
        for number, container in enumerate(containers):
            _await_report(sensor, number, container)
        return Storm(
            files=sum(count for _, _, count in spans),
            seconds=max(end for _, end, _ in spans) - min(begin for begin, _, _ in spans),
            events=sensor.events() - events,
            lost=sensor.lost() - lost,
            before=before,
            during=sensor.resident_kib(),
        )


def _await_report(sensor: Sensor, number: int, container: Container) -> None:
    """Waits for the state with every package, once nothing of it waits to be scanned again."""
    expected = {each.purl for each in distributions(number)}
    sensor.wait_for_packages(container.id, expected, timeout=60)
    sensor.wait_for(container.id, lambda report: report["coverage"] == "complete", timeout=30)


def test_sudden_storm_is_reported_whole(ground: Ground, sensor: Sensor) -> None:
    """As fast as the machine can. What the ring could not take is counted, and found in the processes."""
    storm = raise_storm(ground, sensor, 0)
    print(storm)
    assert storm.files == FILES
    assert storm.events + storm.lost >= FILES
    assert storm.during <= AGENT_KIB


def test_spread_storm_loses_nothing_and_leaves_nothing(ground: Ground, sensor: Sensor) -> None:
    """The memory bar is for a sensor in service: the storm before has brought its heap to its size."""
    fresh = Sensor()
    with fresh:
        resident = fresh.resident_kib()
    _settled(sensor, MEMORY * resident)
    storm = raise_storm(ground, sensor, SPREAD)
    after = _settled(sensor, MEMORY * storm.before)
    print(f"{storm}, {after} KiB after; a fresh agent has {resident} KiB")
    assert storm.files == FILES
    assert storm.seconds <= WITHIN, "the load itself was too slow on this machine: nothing is shown"
    assert storm.events >= FILES
    assert storm.lost == 0
    assert after <= MEMORY * storm.before
    assert after <= AGENT_KIB


def _span(container: Container, timeout: float = 60) -> tuple[float, float, int]:
    deadline = time.monotonic() + timeout
    while not container.output().endswith("\n") and container.running and time.monotonic() < deadline:
        time.sleep(0.05)
    begin, end, count = json.loads(container.output())
    return begin, end, count


def _settled(sensor: Sensor, wanted: float) -> int:
    """Resident memory once it is ``wanted`` or the time is up for which ended containers are kept."""
    deadline = time.monotonic() + SECONDS_HELD + 15
    while (resident := sensor.resident_kib()) > wanted and time.monotonic() < deadline:
        time.sleep(0.5)
    return resident
