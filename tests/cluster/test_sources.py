"""With one source of names, with none for a while, and what is deployed all the while."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from sensor.node.main import HOLD
from tests.cluster import workloads
from tests.cluster.api_server import ApiServer
from tests.cluster.conftest import SensorOf
from tests.cluster.cri_pod import ContainerSpec, PodSpec, importing
from tests.cluster.expected import (
    Expected,
    Program,
    by_container,
    differences,
    expected,
    make_programs,
    sandboxes_reported,
    table,
    wait_until_met,
)
from tests.cluster.images import Origin
from tests.cluster.node import Node, NodePod
from tests.cluster.runtime import CriRuntime
from tests.ground import Sensor

pytestmark = pytest.mark.cluster

_IMAGES = [("registry.example.com/one:1", Origin.PULLED), ("two", Origin.PULLED), ("three:3", Origin.PULLED)]


@pytest.fixture(scope="module")
def programs(machine: CriRuntime) -> list[Program]:
    return make_programs(machine, _IMAGES, "sourced")


@pytest.fixture
def elsewhere(server: ApiServer) -> Iterator[tuple[Node, list[Program]]]:
    """A node whose runtime is where nobody looks for one: neither its socket nor what it writes is found."""
    with CriRuntime() as runtime:
        yield Node(server, runtime, "elsewhere"), make_programs(runtime, _IMAGES, "hidden")


def test_without_an_api_server(node: Node, programs: list[Program], sensor_of: SensorOf) -> None:
    with sensor_of(node, in_cluster=False) as sensor, ExitStack() as stack:
        pods = [stack.enter_context(_pod(node, program, f"alone-{i}")) for i, program in enumerate(programs)]
        wanted = [
            replace(one, names={**one.names, "workload": None})
            for pod, program in zip(pods, programs, strict=True)
            for one in _wanted(node, pod, program)
        ]
        _compare(sensor, wanted, pods)


def test_without_the_runtime(elsewhere: tuple[Node, list[Program]], sensor_of: SensorOf) -> None:
    node, programs = elsewhere
    with sensor_of(node, "--cri-socket", "off") as sensor, ExitStack() as stack:
        pods = [stack.enter_context(_pod(node, program, f"bare-{i}")) for i, program in enumerate(programs)]
        wanted = [
            one for pod, program in zip(pods, programs, strict=True) for one in _wanted(node, pod, program)
        ]
        _compare(sensor, wanted, pods)
        time.sleep(HOLD + 2)  # for which a container without a name waits for one
        assert not sandboxes_reported(sensor, pods)


@pytest.mark.parametrize("which", ["container runtime", "API server", "both"])
def test_restarted(node: Node, programs: list[Program], sensor_of: SensorOf, which: str) -> None:
    """Nothing missing, nothing stale: what ran before and after, and what ended meanwhile."""
    with sensor_of(node) as sensor, ExitStack() as stack:
        stays = stack.enter_context(_pod(node, programs[0], "stays"))
        ends = stack.enter_context(_pod(node, programs[1], "ends"))
        wanted = [*_wanted(node, stays, programs[0]), *_wanted(node, ends, programs[1])]
        wait_until_met(sensor, wanted, 20)
        first, last = ends.running.pid("app"), ends.containers["app"]
        _stop(node, which)
        os.kill(first, signal.SIGKILL)
        report = sensor.wait_for(last, lambda report: not report["deployed"], what="its end")
        assert report["ended_at"]
        _start(node, which)
        assert ends.wait("app") != 0
        after = stack.enter_context(_pod(node, programs[2], "after"))
        wanted += _wanted(node, after, programs[2])
        _compare(sensor, wanted, [stays, ends, after])
        time.sleep(3)  # for a late word of what has ended
        _settled(sensor, running=[stays, after], over=[ends])


def test_deployed_without_a_package(node: Node, programs: list[Program], sensor_of: SensorOf) -> None:
    sleeper = ContainerSpec("sleeper", programs[0].image, ("sleep", "1000"))
    with sensor_of(node) as sensor, node.run(PodSpec("idle", (sleeper,))) as pod:
        container_id = pod.containers["sleeper"]
        names = expected(pod, container_id, programs[0], node.name, ("Pod", "idle"))
        wanted = [replace(names, package=None)]
        wait_until_met(sensor, wanted, 20)
        assert not differences(sensor, wanted, every_line=True)
        assert sensor.latest[container_id]["deployed"]
        assert sensor.latest[container_id]["coverage"] == "complete"
        pod.end()
        report = sensor.wait_for(container_id, lambda report: not report["deployed"], what="its end")
        assert report["ended_at"] and not report["packages"]


def test_a_container_is_restarted(node: Node, programs: list[Program], sensor_of: SensorOf) -> None:
    program = programs[0]
    with sensor_of(node) as sensor, _pod(node, program, "restarts") as pod:
        for _ in range(3):
            former = pod.containers["app"]
            wait_until_met(sensor, _wanted(node, pod, program), 20)
            pod.stop_container("app")
            sensor.wait_for(former, lambda report: not report["deployed"], what="its end")
            pod.start_container(pod.spec.containers[0])
            assert pod.containers["app"] != former
        assert len(pod.ids) == 4
        _compare(sensor, _wanted(node, pod, program), [pod])
        deployed = {name for name in pod.ids if sensor.latest[name]["deployed"]}
        assert deployed == {pod.containers["app"]}


def test_what_ran_before_the_sensor(node: Node, programs: list[Program], sensor_of: SensorOf) -> None:
    with _pod(node, programs[0], "older") as pod:
        time.sleep(0.5)
        with sensor_of(node) as sensor:
            _compare(sensor, _wanted(node, pod, programs[0]), [pod])


def _pod(node: Node, program: Program, name: str) -> NodePod:
    """Of a Deployment of its own."""
    workloads.ensure_namespace(node.server.admin, "shop")
    workload = f"{node.name}-{name}"
    owner = workloads.controller(node.server.admin, "Deployment", workload, "shop")
    container = ContainerSpec("app", program.image, importing(program.package))
    spec = PodSpec(f"{owner['metadata']['name']}-1", (container,), "shop", labels={"app": workload})
    return node.run(spec, owner)


def _wanted(node: Node, pod: NodePod, program: Program) -> list[Expected]:
    workload = ("Deployment", pod.spec.labels["app"])
    return [expected(pod, container_id, program, node.name, workload) for container_id in pod.ids]


def _compare(sensor: Sensor, wanted: list[Expected], pods: list[NodePod]) -> None:
    wait_until_met(sensor, wanted, 30)
    wrong = differences(sensor, wanted, every_line=True)
    assert not wrong, table(wrong, len(wanted))
    assert not sandboxes_reported(sensor, pods)


def _stop(node: Node, which: str) -> None:
    if which != "API server":
        node.runtime.stop()
    if which != "container runtime":
        node.server.stop()


def _start(node: Node, which: str) -> None:
    if which != "API server":
        node.runtime.start()
    if which != "container runtime":
        node.server.start()


def _settled(sensor: Sensor, running: list[NodePod], over: list[NodePod]) -> None:
    last = {name: reports[-1]["deployed"] for name, reports in by_container(sensor).items()}
    for pods, is_deployed in ((running, True), (over, False)):
        for pod in pods:
            for container_id in pod.ids:
                assert last[container_id] == is_deployed, f"{pod.name}: deployed is {last[container_id]}"
