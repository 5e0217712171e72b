"""200 containers come and go: no descriptor stays, nothing grows."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import pytest

from tests.containers.packages import PYTHON, Distribution, environment, image
from tests.ground import Ground, Image, Sensor
from tests.ground.sensor import Report, purls
from tests.ground.stolen import StolenTime

pytestmark = pytest.mark.containers

CONTAINERS = 200
WARM_UP = 40
AT_ONCE = 4
ATTEMPTS = 3  # where the machine stood still in those before; a fault of ours fails all of them
SECONDS_HELD = 60  # roots of ended containers are held so long, for facts that come late
MEMORY = 1.10
FEW = 4  # descriptors in passing: a scrape of ours, a file being read
ONE = Distribution("churned", "3.1.4", modules=4)


@dataclass(frozen=True, slots=True)
class Footprint:
    resident_kib: int
    descriptors: int
    mappings: int
    threads: int
    held_roots: int
    inventory: int

    def has_grown_since(self, idle: Footprint, warm: Footprint) -> bool:
        """Counts must be what they were when nothing had run yet; memory what it was after a few."""
        return (
            self.resident_kib > MEMORY * warm.resident_kib
            or self.mappings > MEMORY * warm.mappings
            or self.descriptors > idle.descriptors + FEW
            or self.threads > idle.threads + FEW
            or self.held_roots > idle.held_roots
            or self.inventory > idle.inventory
        )


def footprint(sensor: Sensor) -> Footprint:
    process = Path(f"/proc/{sensor.process.pid}")
    metrics = sensor.metrics()
    return Footprint(
        sensor.resident_kib(),
        sensor.descriptors(),
        len((process / "maps").read_text().splitlines()),
        len(list((process / "task").iterdir())),
        int(metrics["runtime_sensor_held_roots", ""]),
        int(metrics["runtime_sensor_inventory", 'what="containers"']),
    )


def churn(ground: Ground, of: Image, count: int) -> list[str]:
    """Starts and ends ``count`` containers; their ids."""

    def one(number: int) -> str:
        command = [*PYTHON, f"import {ONE.name}"]
        with ground.container(of, command, name=f"churn-{number}", env=environment()) as container:
            assert container.wait() == 0, container.output()
            return container.id

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, range(count)))


@dataclass(frozen=True, slots=True)
class Round:
    """``CONTAINERS`` that came and went, each of which was reported."""

    seconds: float
    missed: int
    """Were not reached before they ended, and their reports say so."""
    unexcused: int
    """Of these, those during whose lives no processor stood still."""
    stood_still: int
    bearable: float

    @property
    def passed(self) -> bool:
        return not self.unexcused and self.missed <= self.bearable * CONTAINERS


def watched_churn(ground: Ground, of: Image, sensor: Sensor) -> Round:
    begun = time.monotonic()
    with StolenTime() as stolen:
        ids = churn(ground, of, CONTAINERS)
        took = time.monotonic() - begun
    told = [
        sensor.wait_for(container_id, lambda report: ONE.purl in purls(report) or missed(report))
        for container_id in ids
    ]
    unseen = [report for report in told if ONE.purl not in purls(report)]
    unexcused = sum(not excused(report, stolen) for report in unseen)
    return Round(took, len(unseen), unexcused, len(stolen.moments), stolen.bearable)


def missed(report: Report) -> bool:
    """Whether the report says, as it must, that the container was not reached before it ended."""
    return report["coverage_reasons"] == ["root_unavailable"] and report["ended_at"] is not None


def excused(report: Report, stolen: StolenTime) -> bool:
    return stolen.excuses(report, seconds(report["first_seen"]), seconds(str(report["ended_at"])))


def seconds(time_of_report: str) -> float:
    return datetime.fromisoformat(time_of_report).timestamp()


def released(sensor: Sensor, idle: Footprint, warm: Footprint) -> Footprint:
    """The footprint once it is small enough, or when nothing may be held any more."""
    deadline = time.monotonic() + SECONDS_HELD + 15
    while (now := footprint(sensor)).has_grown_since(idle, warm) and time.monotonic() < deadline:
        time.sleep(0.5)
    return now


def test_200_containers_leave_no_trace(ground: Ground, sensor: Sensor) -> None:
    of = image(ground, "churn", [ONE])
    idle = footprint(sensor)
    churn(ground, of, WARM_UP)
    sensor.settle()
    warm = footprint(sensor)

    rounds = [watched_churn(ground, of, sensor)]
    while not rounds[-1].passed and rounds[-1].stood_still and len(rounds) < ATTEMPTS:
        rounds.append(watched_churn(ground, of, sensor))
    print(*rounds, sep="\n")
    assert rounds[-1].passed
    during = footprint(sensor)
    after = released(sensor, idle, warm)

    print(f"{CONTAINERS} containers in {rounds[-1].seconds:.1f} s, {sensor.lost()} events lost")
    for moment, seen in (("idle", idle), ("warm", warm), ("during", during), ("after", after)):
        print(f"{moment:>6}: " + ", ".join(f"{name} {value}" for name, value in asdict(seen).items()))
    assert not after.has_grown_since(idle, warm)
    assert sensor.lost() == 0


def test_the_rings_thread_goes_first_and_no_other(sensor: Sensor) -> None:
    """What it starts is ordinary again; a burst of work must not go before the node's business."""
    tasks = [int(task.name) for task in Path(f"/proc/{sensor.process.pid}/task").iterdir()]
    policies = [os.sched_getscheduler(task) & ~os.SCHED_RESET_ON_FORK for task in tasks]
    assert len(policies) > 1
    assert sorted(set(policies)) == [os.SCHED_OTHER, os.SCHED_FIFO]
    assert policies.count(os.SCHED_FIFO) == 1
