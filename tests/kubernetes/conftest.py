"""A cluster for the tests of a module, and its kubectl."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.cluster.client import Client
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.workloads import give_image

Kubectl = Callable[..., str]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Up, with the image of the workloads; down at the end."""
    cluster = Cluster()
    cluster.up()
    try:
        give_image(cluster)
        yield cluster
    finally:
        cluster.down()


@pytest.fixture(scope="module")
def client(cluster: Cluster) -> Iterator[Client]:
    with cluster.client() as client:
        yield client


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """Runs it as the administrator and returns its standard output."""
    cache = tmp_path_factory.mktemp("kubectl")

    def run(*arguments: str) -> str:
        program = str(cluster.layout.programs / "kubectl")
        done = subprocess.run(
            [program, f"--kubeconfig={cluster.kubeconfig}", f"--cache-dir={cache}", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}:\n{done.stdout}{done.stderr}"
        return done.stdout

    return run
