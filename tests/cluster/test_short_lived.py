"""Pods that live for less than a second: every one is reported whole, as what it was."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import pytest

from tests.cluster import workloads
from tests.cluster.api_server import ApiServer
from tests.cluster.client import Json
from tests.cluster.conftest import SensorOf
from tests.cluster.cri_pod import ContainerSpec, PodSpec, importing
from tests.cluster.expected import (
    Expected,
    Program,
    by_container,
    differences,
    expected,
    make_programs,
    table,
    wait_until_met,
)
from tests.cluster.images import Origin
from tests.cluster.node import Node
from tests.cluster.proxy import FaultProxy
from tests.cluster.runtime import CriRuntime
from tests.ground import Sensor
from tests.ground.stolen import StolenTime

pytestmark = pytest.mark.cluster

_PODS = int(os.environ.get("SHORT_LIVED_PODS", "500"))
_AT_ONCE = 8
_AWAY = 10.0
"""Seconds from the start of the run for which the API server cannot be reached."""
_COMPLETE_WITHIN = 45.0
"""Seconds after the last pod: a client that was refused for 10 s may wait for as long again."""
_LATENCY = 0.05
_NAMESPACES = ("shop", "shop-2", "batch-jobs", "default")
_KINDS = ("Job", "Deployment", "CronJob", None, "StatefulSet")
_PODS_OF_OWNER = 5


@dataclass(frozen=True, slots=True)
class _Life:
    """Seconds since the epoch, as the runtime has them."""

    wanted: Expected
    started_at: float
    ended_at: float


@pytest.fixture(scope="module")
def programs(machine: CriRuntime) -> list[Program]:
    return make_programs(
        machine, [(f"registry.example.com/short/{number}:1", Origin.PULLED) for number in range(7)], "brief"
    )


@pytest.fixture
def proxy(server: ApiServer) -> Iterator[FaultProxy]:
    with server.proxy() as proxy:
        yield proxy


def test_plain(node: Node, programs: list[Program], sensor_of: SensorOf) -> None:
    with sensor_of(node) as sensor:
        _check("plain", node, programs, sensor)


def test_api_server_50_ms_slower(
    node: Node, programs: list[Program], sensor_of: SensorOf, proxy: FaultProxy
) -> None:
    proxy.latency = _LATENCY
    with sensor_of(node, url=proxy.url) as sensor:
        _check("50 ms more latency", node, programs, sensor)
    assert proxy.traffic.requests > _PODS / _PODS_OF_OWNER / len(_KINDS)


def test_api_server_away_for_the_first_10_s(
    node: Node, programs: list[Program], sensor_of: SensorOf, proxy: FaultProxy
) -> None:
    proxy.refuse()
    with sensor_of(node, url=proxy.url) as sensor:
        back = threading.Timer(_AWAY, proxy.accept)
        back.start()
        try:
            _check("API server away for 10 s", node, programs, sensor)
        finally:
            back.join()
    assert proxy.traffic.requests > 0


def _check(what: str, node: Node, programs: list[Program], sensor: Sensor) -> None:
    owners = [_owner(node, number) for number in range(0, _PODS, _PODS_OF_OWNER)]
    begun = time.monotonic()
    with StolenTime() as stolen, ThreadPoolExecutor(_AT_ONCE) as threads:
        lives = list(
            threads.map(
                lambda number: _live(node, number, owners[number // _PODS_OF_OWNER], programs), range(_PODS)
            )
        )
    seconds = time.monotonic() - begun
    wanted = [life.wanted for life in lives]
    wait_until_met(sensor, wanted, _COMPLETE_WITHIN)
    sensor.settle(1.0)
    missed = [life for life in lives if _missed(life, sensor, stolen)]
    print(f"{len(missed)} came and went while the machine stood still")
    assert len(missed) <= stolen.bearable * _PODS
    wanted = [life.wanted for life in lives if life not in missed]
    wrong = differences(sensor, wanted, every_line=False)
    _tell(what, lives, seconds, sensor)
    assert not wrong, table(wrong, len(wanted))
    assert sorted(life.ended_at - life.started_at for life in lives)[len(lives) // 2] < 1.0


def _missed(life: _Life, sensor: Sensor, stolen: StolenTime) -> bool:
    """Whether the report says that the pod was not reached, and the machine stood still while it ran."""
    reports = by_container(sensor).get(life.wanted.container_id, [])
    return bool(reports) and stolen.excuses(reports[-1], life.started_at, life.ended_at)


def _owner(node: Node, number: int) -> Json | None:
    kind = _KINDS[number // _PODS_OF_OWNER % len(_KINDS)]
    if kind is None:
        return None
    namespace = _namespace(number)
    workloads.ensure_namespace(node.server.admin, namespace)
    return workloads.controller(node.server.admin, kind, _workload(node, number), namespace)


def _workload(node: Node, number: int) -> str:
    return f"{node.name}-{number // _PODS_OF_OWNER}"


def _namespace(number: int) -> str:
    return _NAMESPACES[number // _PODS_OF_OWNER % len(_NAMESPACES)]


def _live(node: Node, number: int, owner: Json | None, programs: list[Program]) -> _Life:
    """One pod from beginning to end. It stays in the API server, as one that has ended does."""
    program = programs[number % len(programs)]
    command = importing(program.package, seconds=0.05)
    container = ContainerSpec(f"run-{number % 3}", program.image, command)
    name = f"{node.name}-short-{number}"
    pod = node.place(PodSpec(name, (container,), _namespace(number), labels={"number": str(number)}), owner)
    try:
        pod.start()
        assert pod.wait(container.name) == 0, pod.running.output(container.name)
        status = pod.running.status(container.name)
    finally:
        pod.leave()
    kind = _KINDS[number // _PODS_OF_OWNER % len(_KINDS)]
    workload = ("Pod", name) if kind is None else (kind, _workload(node, number))
    wanted = expected(pod, pod.containers[container.name], program, node.name, workload)
    return _Life(wanted, status.started_at / 1e9, status.finished_at / 1e9)


def _tell(what: str, lives: Sequence[_Life], seconds: float, sensor: Sensor) -> None:
    reports = by_container(sensor)
    ages = sorted(life.ended_at - life.started_at for life in lives)
    delays = []
    for life in lives:
        with contextlib.suppress(StopIteration):
            first = next(one for one in reports.get(life.wanted.container_id, []) if life.wanted.is_met(one))
            delays.append(datetime.fromisoformat(first["observed_at"]).timestamp() - life.ended_at)
    print(
        f"{what}: {len(lives)} pods, {len(lives) / seconds:.1f} a second; lives {_spread(ages)}; "
        f"{len(delays)} complete, after their end {_spread(sorted(delays))}"
    )


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    median, high = values[len(values) // 2], values[min(len(values) - 1, len(values) * 99 // 100)]
    return f"p50 {median:.2f} s, p99 {high:.2f} s, longest {values[-1]:.2f} s"
