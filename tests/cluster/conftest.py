"""A cluster of one API server and one container runtime for all tests that want both."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.api_server import ApiServer
from tests.cluster.node import CLUSTER, Node
from tests.cluster.runtime import CriRuntime
from tests.cluster.workloads import serve_custom_kinds
from tests.ground import Sensor

_STATE = Path("/run/k3s/containerd")
# What a sensor needs, and no more: the manifest gives it the same.
RULES = (
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
    {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["get"]},
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["replicationcontrollers"], "verbs": ["get"]},
)
_numbers = itertools.count(1)

SensorOf = Callable[..., Sensor]


@pytest.fixture(scope="session")
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        serve_custom_kinds(server.admin)
        yield server


@pytest.fixture(scope="session")
def token(server: ApiServer) -> Path:
    """Of a service account that may do what a sensor needs."""
    return server.accounts.make("sensor", "sensor", RULES)


@pytest.fixture(scope="session")
def machine() -> Iterator[CriRuntime]:
    """A runtime whose sandboxes, bundles and socket are where a distribution of Kubernetes has them."""
    with CriRuntime(_STATE) as runtime:
        yield runtime


@pytest.fixture
def node(server: ApiServer, machine: CriRuntime) -> Node:
    """A node without pods."""
    return Node(server, machine, f"node-{next(_numbers)}")


@pytest.fixture
def sensor_of(server: ApiServer, token: Path, tmp_path: Path) -> SensorOf:
    """Makes the sensor of a node, to be used with ``with``. ``url`` may be a proxy's."""

    def make(node: Node, *options: str, url: str | None = None, in_cluster: bool = True) -> Sensor:
        access = ("--kubernetes", "off")
        if in_cluster:
            path = server.kubeconfig(tmp_path / "kubeconfig", url=url, token_file=token)
            access = ("--kubeconfig", str(path))
        return Sensor(
            *("--node-name", node.name, "--cluster-name", CLUSTER, *access, *options),
            log=tmp_path / "sensor.log",
        )

    return make
