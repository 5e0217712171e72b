"""Releases on a real API server: they come, change, go back, stand side by side and leave nothing.

Nothing acts on the objects, so that no pod runs: what a release leaves in the API is seen here, no more.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.charts import rendered
from tests.charts.helm_program import NAMESPACE, HelmError, run
from tests.cluster.api_server import ApiServer

pytestmark = pytest.mark.cluster

_SERVED_SECONDS = 30.0
_SCC_PATH = "/apis/security.openshift.io/v1/securitycontextconstraints"
_SCC = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "securitycontextconstraints.security.openshift.io"},
    "spec": {
        "group": "security.openshift.io",
        "scope": "Cluster",
        "names": {"plural": "securitycontextconstraints", "kind": "SecurityContextConstraints"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                },
            }
        ],
    },
}


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server


class Releases:
    """helm, as an administrator of that server."""

    def __init__(self, server: ApiServer, folder: Path) -> None:
        self._admin = server.admin
        self._kubeconfig = server.kubeconfig(folder / "kubeconfig")

    def helm(self, verb: str, release: str, *arguments: str, namespace: str = NAMESPACE) -> str:
        options = (f"--kubeconfig={self._kubeconfig}", f"--namespace={namespace}")
        return run([verb, release, *arguments, *options])

    def install(self, release: str, *arguments: str, namespace: str = NAMESPACE) -> str:
        chart = str(rendered.CHART)
        return self.helm("install", release, chart, "--create-namespace", *arguments, namespace=namespace)

    def daemon_set(self, name: str, namespace: str = NAMESPACE) -> dict[str, Any]:
        return self._admin.get(f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}")

    def names(self, namespace: str = NAMESPACE) -> set[str]:
        """Of all that a release may have made, ``kind/name``."""
        inside = {
            f"/apis/apps/v1/namespaces/{namespace}": ("daemonsets", "deployments"),
            f"/api/v1/namespaces/{namespace}": ("serviceaccounts", "configmaps", "secrets", "pods"),
            f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}": ("roles", "rolebindings"),
            f"/apis/networking.k8s.io/v1/namespaces/{namespace}": ("networkpolicies",),
        }
        cluster = {"/apis/rbac.authorization.k8s.io/v1": ("clusterroles", "clusterrolebindings")}
        found = {each for path, kinds in inside.items() for kind in kinds for each in self._list(path, kind)}
        roles = {each for path, kinds in cluster.items() for kind in kinds for each in self._list(path, kind)}
        own = {each for each in roles if f"/{namespace}:" in each}
        return (found | own) - {"serviceaccounts/default", "configmaps/kube-root-ca.crt"}

    def _list(self, path: str, kind: str) -> Iterator[str]:
        for item in self._admin.get(f"{path}/{kind}")["items"]:
            yield f"{kind}/{item['metadata']['name']}"


@pytest.fixture
def releases(server: ApiServer, tmp_path: Path) -> Releases:
    return Releases(server, tmp_path)


def test_a_release_comes_changes_and_goes(releases: Releases) -> None:
    told = releases.install(
        "my-runtime-sensor",
        "--set=secretName=s,clusterName=prod,snykGroupId=12345678-1234-1234-1234-123456789abc",
        "--set=networkPolicy.enabled=true",
    )
    assert "kubectl rollout status daemonset/my-runtime-sensor" in told
    before = releases.daemon_set("my-runtime-sensor")["spec"]
    chart = str(rendered.CHART)
    releases.helm(
        "upgrade",
        "my-runtime-sensor",
        chart,
        "--reuse-values",
        "--set=securityContext.capabilities={SYS_ADMIN}",
    )
    context = releases.daemon_set("my-runtime-sensor")["spec"]["template"]["spec"]["containers"][0]
    assert {"SYS_ADMIN", "SYS_PTRACE"} <= set(context["securityContext"]["capabilities"]["add"])
    releases.helm("upgrade", "my-runtime-sensor", chart, "--reuse-values", "--set=workloadType=deployment")
    assert {each for each in releases.names() if "s/my-" in each} >= {"deployments/my-runtime-sensor"}
    assert "daemonsets/my-runtime-sensor" not in releases.names()
    releases.helm("rollback", "my-runtime-sensor", "1")
    assert releases.daemon_set("my-runtime-sensor")["spec"] == before
    releases.helm("uninstall", "my-runtime-sensor")
    assert releases.names() == set()


def test_releases_in_two_namespaces(releases: Releases) -> None:
    for namespace in ("team-a", "team-b"):
        releases.install("runtime-sensor", namespace=namespace)
    releases.helm("uninstall", "runtime-sensor", namespace="team-a")
    assert releases.names("team-a") == set()
    assert "daemonsets/runtime-sensor" in releases.names("team-b")
    assert "clusterroles/team-b:runtime-sensor" in releases.names("team-b")
    releases.helm("uninstall", "runtime-sensor", namespace="team-b")


def test_two_releases_in_one_namespace(releases: Releases) -> None:
    releases.install("first", namespace="both")
    with pytest.raises(HelmError, match='ServiceAccount "runtime-sensor"'):
        releases.install("second", namespace="both")
    # What an install that failed leaves is a record of it alone.
    releases.install("third", "--set=sensor.serviceAccount.name=third", namespace="both")
    assert {"daemonsets/first-runtime-sensor", "daemonsets/third-runtime-sensor"} <= releases.names("both")
    for name in ("first", "third"):
        releases.helm("uninstall", name, namespace="both")
    assert not [each for each in releases.names("both") if not each.startswith("secrets/sh.helm")]


def test_openshift_is_seen_where_its_api_is(server: ApiServer, releases: Releases) -> None:
    server.admin.create(_SCC)
    deadline = time.monotonic() + _SERVED_SECONDS
    while server.admin.status_of(_SCC_PATH) != 200:
        assert time.monotonic() < deadline, "the definition is still not served"
        time.sleep(0.1)
    told = releases.install("my-runtime-sensor", namespace="openshift")
    spec = releases.daemon_set("my-runtime-sensor", "openshift")["spec"]["template"]["spec"]
    assert spec["securityContext"]["seLinuxOptions"] == {"type": "spc_t"}
    assert "oc adm policy add-scc-to-user privileged system:serviceaccount:openshift:runtime-sensor" in told
    chart = str(rendered.CHART)
    releases.helm(
        "upgrade", "my-runtime-sensor", chart, "--set=openshift.enabled=true", namespace="openshift"
    )
    (scc,) = server.admin.get(_SCC_PATH)["items"]
    assert scc["metadata"]["name"] == "openshift-my-runtime-sensor"
    assert scc["allowHostPID"] is True
    releases.helm("uninstall", "my-runtime-sensor", namespace="openshift")
    assert server.admin.get(_SCC_PATH)["items"] == []
    assert releases.names("openshift") == set()
