"""Whose is it: every report of every container of 60 pods of all kinds."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.cluster.conftest import SensorOf
from tests.cluster.expected import (
    Program,
    by_container,
    differences,
    make_programs,
    sandboxes_reported,
    table,
    wait_until_met,
)
from tests.cluster.images import Origin
from tests.cluster.node import Node, NodePod
from tests.cluster.runtime import CriRuntime
from tests.cluster.sixty_pods import IMAGES, TWIN, plan
from tests.ground import Sensor

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def programs(machine: CriRuntime) -> list[Program]:
    made = make_programs(machine, IMAGES)
    first = made[0]
    twin = machine.image(TWIN, {first.package: first.version}, build=IMAGES[0][0])
    assert twin.digest == first.image.digest
    return [*made, Program(twin, Origin.PULLED, first.package, first.version)]


def test_every_report_of_60_pods(node: Node, programs: list[Program], sensor_of: SensorOf) -> None:
    planned = list(plan(node, programs))
    assert len(planned) == 60
    with sensor_of(node) as sensor, ExitStack() as stack, ThreadPoolExecutor(6) as threads:
        begun = time.monotonic()
        pods = list(threads.map(lambda each: each.run(node), planned))
        seconds = time.monotonic() - begun
        for pod in pods:
            stack.callback(pod.delete)
        wanted = [one for each, pod in zip(planned, pods, strict=True) for one in each.expected(node, pod)]
        wait_until_met(sensor, wanted, 30)
        _end_some(sensor, pods, threads)
        sensor.settle(1.0)
        wrong = differences(sensor, wanted, every_line=True)
        assert not wrong, table(wrong, len(wanted))
        assert not sandboxes_reported(sensor, pods)
        reports = by_container(sensor)
        compared = sum(len(reports[one.container_id]) for one in wanted)
        print(
            f"{len(pods)} pods made in {seconds:.0f} s: {len(wanted)} containers, {compared} reports compared"
        )


def _end_some(sensor: Sensor, pods: list[NodePod], threads: ThreadPoolExecutor) -> None:
    """Every third pod ends: that is reported of its containers, and of no other."""
    ended = pods[::3]
    list(threads.map(NodePod.end, ended))
    for pod in ended:
        for container_id in pod.ids:
            report = sensor.wait_for(container_id, lambda report: not report["deployed"], what="the end")
            assert report["ended_at"]
    for pod in pods:
        for name, container_id in pod.containers.items():
            runs = pod not in ended and name != "init"
            assert sensor.latest[container_id]["deployed"] == runs, f"{pod.name} {name}"
