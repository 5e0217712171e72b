"""The cluster comes and goes, and the machine is as it was."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.clock import until
from tests.cluster.client import Client
from tests.kubernetes.cluster import PROGRAMS, Cluster
from tests.kubernetes.problem import KubernetesError
from tests.kubernetes.traces import Running, Traces
from tests.kubernetes.workloads import give_image, ready_pod, template, workload

pytestmark = pytest.mark.kubernetes


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """Up for one test, which may take it down."""
    cluster = Cluster()
    yield cluster
    cluster.down()


def test_down_leaves_nothing_even_of_a_cluster_at_work(own_cluster: Cluster) -> None:
    before = Traces.now()
    own_cluster.up()
    give_image(own_cluster)
    with own_cluster.client() as client:
        _run_something(client)
    during = Traces.now()
    running = Running.now()
    assert len(running.processes) > len(PROGRAMS) and running.namespaces
    # What is looked at does see the cluster, or what is found below says nothing.
    assert during.interfaces != before.interfaces and during.routes != before.routes
    assert during.cgroups != before.cgroups and during.folders != before.folders
    # These belong to the machine alone, always.
    assert during.firewall == before.firewall
    assert during.settings == before.settings
    assert during.mounts <= before.mounts

    assert own_cluster.down()

    until(lambda: not running.left(), "the end of all of the cluster's processes")
    assert Traces.now() == before
    assert not own_cluster.down(), "nothing is left to take down"


def test_a_cluster_whose_parts_were_killed_is_taken_down_as_well(own_cluster: Cluster) -> None:
    before = Traces.now()
    own_cluster.up()
    running = Running.now()
    status = own_cluster.status()
    for name in ("machine", "kubelet", "containerd"):
        pid = status[name]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    until(lambda: own_cluster.status()["kubelet"] is None, "the kubelet's end")
    assert not own_cluster.is_up
    with pytest.raises(KubernetesError, match="`down` first"):
        own_cluster.up()
    own_cluster.down()
    until(lambda: not running.left(), "the end of all of the cluster's processes")
    assert Traces.now() == before


def _run_something(client: Client) -> None:
    pod = template("busy", ["sleep", "3600"], hostPID=True)
    client.create(workload("Deployment", "busy", pod, replicas=2))
    ready_pod(client, "busy")
