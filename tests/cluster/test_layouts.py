"""Pods in the cgroups of both drivers and of every class, as far as this kernel offers them."""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from pathlib import Path

import pytest

from sensor.node.identify.cgroup import identify_cgroup
from tests.cluster import cgroups
from tests.cluster.cgroups import Driver, Qos
from tests.cluster.conftest import SensorOf
from tests.cluster.cri_pod import ContainerSpec, PodSpec, importing
from tests.cluster.expected import differences, expected, make_programs, table, wait_until_met
from tests.cluster.images import Origin
from tests.cluster.node import Node
from tests.cluster.runtime import CriRuntime
from tests.ground.mounts import mounts

pytestmark = pytest.mark.cluster


def test_both_drivers_and_every_class(node: Node, machine: CriRuntime, sensor_of: SensorOf) -> None:
    """Static pods too: their uid has no dashes."""
    layouts = list(itertools.product(Driver, Qos, (False, True)))
    programs = make_programs(machine, [(f"acme/layout-{i}:1", Origin.PULLED) for i in range(len(layouts))])
    kinds = sorted({mount.kind for mount in mounts() if mount.target in cgroups.hierarchies()})
    wanted = []
    with sensor_of(node) as sensor, ExitStack() as stack:
        for (driver, qos, is_static), program in zip(layouts, programs, strict=True):
            name = f"{driver.value}-{qos.value}"
            container = ContainerSpec("app", program.image, importing(program.package))
            spec = PodSpec(name, (container,), driver=driver, qos=qos, is_static=is_static)
            pod = stack.enter_context(node.run(spec))
            container_id = pod.containers["app"]
            path = Path(f"/proc/{pod.running.pid('app')}/cgroup").read_text().strip().rpartition(":")[2]
            identity = identify_cgroup(path)
            assert identity is not None and identity.id == container_id, path
            assert identity.pod_uid == pod.running.uid, path
            print(f"{'+'.join(kinds)} {driver.value} {qos.value}: {path}")
            wanted.append(expected(pod, container_id, program, node.name, ("Pod", pod.name)))
        wait_until_met(sensor, wanted, 20)
        wrong = differences(sensor, wanted, every_line=True)
        assert not wrong, table(wrong, len(wanted))
        runtimes = {sensor.latest[one.container_id]["container"]["runtime"] for one in wanted}
        assert runtimes == {"containerd"}, runtimes
