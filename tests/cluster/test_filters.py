"""What the filters exclude is not reported, not once, and costs nothing once it is known."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clock import until
from tests.cluster import workloads
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
from tests.cluster.images import SITE, Origin
from tests.cluster.node import Node, NodePod
from tests.cluster.runtime import CriRuntime
from tests.ground import Sensor
from tests.ground.sensor import EVENTS

pytestmark = pytest.mark.cluster

_KINDS = ("Deployment", "Job", "StatefulSet", None)
_NAMESPACES = ("shop", "team-a", "secret")
_TIERS = ("web", "db")
_MODULES = 50
_ROUNDS = 3
# Imports _MODULES modules anew for each file that appears in /trigger, and says so.
_ON_DEMAND = f"""
import importlib, os, time
for turn in range({_ROUNDS}):
    while not os.path.exists(f"/trigger/{{turn}}"):
        time.sleep(0.02)
    for number in range({_MODULES}):
        importlib.import_module(f"late{{turn}}_{{number}}")
    print("imported", turn, flush=True)
time.sleep(1000)
"""
_PLENTY = {f"{SITE}/late{turn}_{number}.py": b"" for turn in range(_ROUNDS) for number in range(_MODULES)}


@pytest.fixture(scope="module")
def programs(machine: CriRuntime) -> list[Program]:
    return make_programs(
        machine, [(f"acme/filtered-{number}:1", Origin.PULLED) for number in range(3)], "kept"
    )


@dataclass(frozen=True, slots=True)
class _Case:
    """The options, and which pods pass."""

    options: tuple[str, ...]
    kinds: tuple[str | None, ...] = _KINDS
    namespaces: tuple[str, ...] = _NAMESPACES
    tiers: tuple[str, ...] = _TIERS

    def passes(self, pod: _Pod) -> bool:
        spec = pod.pod.spec
        return (
            pod.kind in self.kinds and spec.namespace in self.namespaces and spec.labels["tier"] in self.tiers
        )


@dataclass(frozen=True, slots=True)
class _Pod:
    """``kind`` is its workload's, ``None`` for a bare one."""

    pod: NodePod
    kind: str | None
    wanted: Expected


_CASES = {
    "namespaces": _Case(("--filter-namespaces", "shop,team-*"), namespaces=("shop", "team-a")),
    "workload types": _Case(("--filter-workload-types", "deployment,pod"), kinds=("Deployment", None)),
    "pod labels": _Case(("--filter-pod-labels", "tier=web"), tiers=("web",)),
    "all three": _Case(
        (
            *("--filter-namespaces", "shop"),
            *("--filter-workload-types", "deployment,job"),
            *("--filter-pod-labels", "tier=db,tier=web"),
        ),
        kinds=("Deployment", "Job"),
        namespaces=("shop",),
    ),
}


@pytest.mark.parametrize("case", _CASES.values(), ids=_CASES)
def test_what_is_reported(node: Node, programs: list[Program], sensor_of: SensorOf, case: _Case) -> None:
    with (
        sensor_of(node, *case.options) as sensor,
        ExitStack() as stack,
        ThreadPoolExecutor(6) as threads,
    ):
        pods = list(threads.map(lambda number: _run(node, programs, number), range(24)))
        for each in pods:
            stack.callback(each.pod.delete)
        kept = [each.wanted for each in pods if case.passes(each)]
        out = {each.wanted.container_id for each in pods if not case.passes(each)}
        assert kept and out
        wait_until_met(sensor, kept, 30)
        list(threads.map(lambda each: each.pod.end(), pods))
        for one in kept:
            sensor.wait_for(one.container_id, lambda report: not report["deployed"], what="its end")
        sensor.settle(1.0)
        wrong = differences(sensor, kept, every_line=True)
        assert not wrong, table(wrong, len(kept))
        assert not out & by_container(sensor).keys()
        assert not sandboxes_reported(sensor, [each.pod for each in pods])
        print(f"{len(kept)} containers reported, {len(out)} excluded and never reported")


def test_an_excluded_container_costs_nothing(
    node: Node, machine: CriRuntime, sensor_of: SensorOf, tmp_path: Path
) -> None:
    image = machine.image("acme/busy:1", {"busy": "1.0"}, files=_PLENTY)
    trigger = tmp_path / "trigger"
    trigger.mkdir()
    container = ContainerSpec("app", image, ("python3", "-c", _ON_DEMAND), mounts={"/trigger": trigger})
    with (
        sensor_of(node, "--filter-namespaces", "shop") as sensor,
        node.run(PodSpec("busy", (container,), "secret")) as pod,
    ):
        _wait_until_ignored(sensor)
        changes = [_change(sensor, pod, trigger, turn) for turn in range(_ROUNDS)]
        for turn, change in enumerate(changes):
            print(f"round {turn}: {_MODULES} imports of an excluded container:", change)
        # Another container of this machine may do something in a round, but not in each.
        assert any(
            change["ignored"] >= _MODULES and not change["submitted"] and not change["excluded"]
            for change in changes
        ), changes
        assert pod.containers["app"] not in sensor.latest


def _run(node: Node, programs: list[Program], number: int) -> _Pod:
    kind, namespace = _KINDS[number % 4], _NAMESPACES[number // 4 % 3]
    program = programs[number % len(programs)]
    name = f"{node.name}-{number}"
    workloads.ensure_namespace(node.server.admin, namespace)
    owner = None if kind is None else workloads.controller(node.server.admin, kind, name, namespace)
    container = ContainerSpec("app", program.image, importing(program.package))
    labels = {"tier": _TIERS[number // 12], "app": name}
    pod = node.run(PodSpec(f"{name}-pod", (container,), namespace, labels=labels), owner)
    workload = ("Pod", pod.name) if kind is None else (kind, name)
    return _Pod(pod, kind, expected(pod, pod.containers["app"], program, node.name, workload))


def _wait_until_ignored(sensor: Sensor) -> None:
    """It is known to be excluded, and so is its sandbox; the kernel hears of it with the next event."""
    excluded = "runtime_sensor_unreported_containers_total", 'reason="excluded"'
    until(lambda: sensor.metrics()[excluded] >= 2, "that pod and sandbox are excluded", pause=0.1)


def _change(sensor: Sensor, pod: NodePod, trigger: Path, turn: int) -> dict[str, int]:
    before = _counts(sensor)
    (trigger / str(turn)).touch()
    until(lambda: f"imported {turn}" in pod.running.output("app"), f"the import of turn {turn}", pause=0.02)
    time.sleep(0.5)  # what is on its way through the ring
    after = _counts(sensor)
    return {name: after[name] - before[name] for name in after}


def _counts(sensor: Sensor) -> dict[str, int]:
    samples = sensor.metrics()

    def kernel(outcome: str) -> int:
        return int(samples.get((EVENTS, f'outcome="{outcome}"'), 0))

    return {
        "ignored": kernel("ignored"),
        "submitted": kernel("submitted") + kernel("exec_submitted"),
        "excluded": int(samples["runtime_sensor_events_total", 'outcome="excluded"']),
    }
